import { v7 as uuidv7 } from 'uuid';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { cancel, claim, retry } from '../../src/domain/transitions.ts';
import { cursorOf, type StreamedChange } from '../../src/tasks/cursor.ts';
import { next } from '../support/streams.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';
const later = { runAt: new Date(Date.now() + 3_600_000) };

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('watching a list', () => {
  test('tells when a task enters it, changes within it, and leaves it', async () => {
    const waiting = { status: ['NEW' as const, 'PENDING' as const], priority: ['HIGH' as const] };
    const list = await app.feed.watchList(waiting);
    await app.create({ priority: 'LOW' });
    const { id } = await app.create({ priority: 'HIGH' });
    await app.advance([claim(id, WORKER)]);
    await app.advance([cancel(id)]);
    await app.advance([retry(id)]);
    expect(await moves(list, 4)).toEqual([
      [id, 1, 'ENTERED'],
      [id, 2, 'CHANGED'],
      [id, 3, 'LEFT'],
      [id, 5, 'ENTERED'],
    ]);
  });

  test('resumed from a cursor tells the moves that were missed', async () => {
    const list = await app.feed.watchList({ status: ['NEW'] });
    const { id } = await app.create(later);
    const entered = await next(list);
    await list.return?.();
    await app.advance([cancel(id)]);
    const { id: other } = await app.create(later);
    const resumed = await app.feed.watchList({ status: ['NEW'] }, cursorOf(entered));
    await app.advance([cancel(other)]);
    expect(await moves(resumed, 3)).toEqual([
      [id, 2, 'LEFT'],
      [other, 1, 'ENTERED'],
      [other, 2, 'LEFT'],
    ]);
  });
});

describe('a cursor from before what is kept', () => {
  const expired = { code: 'CURSOR_EXPIRED' };

  test('is refused where all tasks are watched, and one from after it is not', async () => {
    const changes = await app.feed.watchTasks({});
    const { id } = await app.create(later);
    const before = await next(changes);
    const { id: other } = await app.create(later);
    await next(changes);
    await app.database.run({ text: 'delete from tasks where id = $1' }, [other]);
    await expect(app.feed.watchTasks({}, cursorOf(before))).rejects.toMatchObject(expired);
    await expect(app.feed.watchList({}, cursorOf(before))).rejects.toMatchObject(expired);

    await app.advance([cancel(id)]);
    const after = await next(changes);
    await app.advance([retry(id)]);
    expect(await next(await app.feed.watchTasks({}, cursorOf(after)))).toMatchObject({
      event: { taskId: id, version: 3 },
    });
  });

  test('is not that of who begins after all that there was has been deleted', async () => {
    await app.create(later);
    await app.database.run({ text: 'delete from tasks' });
    const first = await app.feed.watchTasks({});
    // Once it is certain that no transaction from before is still open.
    const start = await vi.waitFor(async () => {
      const changes = await app.feed.watchTasks({});
      await changes.return?.();
      await (await app.feed.watchTasks({}, changes.start)).return?.();
      return changes.start;
    }, 15_000);
    const { id } = await app.create(later);
    const resumed = await app.feed.watchTasks({}, start);
    for (const changes of [first, resumed]) {
      expect(await next(changes)).toMatchObject({ event: { taskId: id, version: 1 } });
    }
  });

  test('hides nothing from who begins while a transaction from before is open', async () => {
    const [written, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const id = uuidv7();
    const slow = app.database.transaction(async (tx) => {
      const text = `
        with task as (
          insert into tasks (id, title, description, priority, status, type, max_attempts, attempt_budget, run_at)
          values ($1, 'slow', '', 'LOW', 'NEW', 'simulate', 3, 3, now() + interval '1 hour')
        )
        insert into task_events (task_id, version, status, attempt) values ($1, 1, 'NEW', 0)`;
      await tx.run({ text }, [id]);
      written.resolve();
      await gate.promise;
    });
    await written.promise;
    await app.create(later);
    await app.database.run({ text: 'delete from tasks' });
    const changes = await app.feed.watchTasks({});
    gate.resolve();
    await slow;
    expect(await next(changes)).toMatchObject({ event: { taskId: id, version: 1 } });
  });

  test('is refused after all events were thrown away at once', async () => {
    const changes = await app.feed.watchTasks({});
    await app.create(later);
    const before = await next(changes);
    await app.create(later);
    await app.database.run({ text: 'truncate task_events' });
    await expect(app.feed.watchTasks({}, cursorOf(before))).rejects.toMatchObject(expired);
  });

  test('is refused where one task is watched of whose history a part is missing', async () => {
    const { id } = await app.create(later);
    const first = await next(await app.feed.watchTask(id));
    for (const transition of [cancel(id), retry(id), cancel(id)]) await app.advance([transition]);
    await app.database.run({ text: 'delete from task_events where task_id = $1 and version = 2' }, [
      id,
    ]);
    await expect(app.feed.watchTask(id, cursorOf(first))).rejects.toMatchObject(expired);
  });
});

async function moves(list: AsyncIterator<StreamedChange>, count: number) {
  const told: unknown[] = [];
  while (told.length < count) {
    const { event, move } = await next(list);
    told.push([event.taskId, event.version, move]);
  }
  return told;
}

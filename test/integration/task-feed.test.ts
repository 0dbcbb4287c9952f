import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import type { Task, TaskChange } from '../../src/domain/task.ts';
import { cancel, claim, complete, retry, type Transition } from '../../src/domain/transitions.ts';
import { createAdvance } from '../../src/tasks/advance.ts';
import { cursorOf } from '../../src/tasks/cursor.ts';
import { createTaskFeed } from '../../src/tasks/task-feed.ts';
import { createFallibleSql } from '../support/fallible-sql.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('watching one task', () => {
  test('gives its present state first, then every change in order, and ends after a final status', async () => {
    const task = await app.create();
    const changes = await app.feed.watchTask(task.id);
    expect(summary(await next(changes))).toEqual([2, 'NEW', 'PENDING']);
    const claimed = await apply(claim(task.id, WORKER));
    await apply(complete({ taskId: task.id, version: claimed.version }, 'done'));
    expect(summary(await next(changes))).toEqual([3, 'PENDING', 'IN_PROGRESS']);
    const last = await next(changes);
    expect(summary(last)).toEqual([4, 'IN_PROGRESS', 'COMPLETED']);
    expect(last.task.result).toBe('done');
    expect(await changes.next()).toEqual({ done: true, value: undefined });
  });

  test('resumed from a cursor gives all that was missed, each once', async () => {
    const task = await app.create();
    const first = await next(await app.feed.watchTask(task.id));
    const claimed = await apply(claim(task.id, WORKER));
    await apply(complete({ taskId: task.id, version: claimed.version }, null));
    const resumed = await app.feed.watchTask(task.id, cursorOf(first));
    expect(await versions(resumed)).toEqual([3, 4]);
  });

  test('resumed from the final event ends at once', async () => {
    const task = await app.create();
    await apply(cancel(task.id));
    const [final] = await all(await app.feed.watchTask(task.id));
    if (final === undefined) throw new Error('no first event');
    expect(await all(await app.feed.watchTask(task.id, cursorOf(final)))).toEqual([]);
  });

  test('that is over leaves nothing to listen to', async () => {
    const bound = new Set<string>();
    const { broker } = app;
    const counted: Broker = {
      ...broker,
      async openEventStream(listener) {
        const stream = await broker.openEventStream(listener);
        const bind = (pattern: string) => stream.bind(pattern).then(() => void bound.add(pattern));
        const unbind = (pattern: string) =>
          stream.unbind(pattern).then(() => void bound.delete(pattern));
        return { ...stream, bind, unbind };
      },
    };
    const feed = await createTaskFeed({ broker: counted, sql: app.database, log: app.logs.log });
    onTestFinished(feed.close);
    const task = await app.create();
    const streams = [feed.watchTask(task.id), feed.watchProgress(task.id)];
    await Promise.all(streams);
    expect(bound.size).toBe(2);
    await apply(cancel(task.id));
    for (const stream of streams) await Array.fromAsync<object>(await stream);
    await expect.poll(() => bound.size).toBe(0);
    const [final] = await all(await feed.watchTask(task.id));
    if (final === undefined) throw new Error('no first event');
    await all(await feed.watchTask(task.id, cursorOf(final)));
    await Array.fromAsync(await feed.watchProgress(task.id));
    await expect.poll(() => bound.size).toBe(0);
  });

  test('resumed from a final event goes on when the task was retried since', async () => {
    const task = await app.create();
    const cancelled = await apply(cancel(task.id));
    const [final] = await all(await app.feed.watchTask(task.id));
    if (final === undefined) throw new Error('no first event');
    await apply(retry(task.id));
    await apply(cancel(task.id));
    expect(await versions(await app.feed.watchTask(task.id, cursorOf(final)))).toEqual([
      cancelled.version + 1,
      cancelled.version + 2,
    ]);
  });

  test('an announcement that got lost is made up for by the next one', async () => {
    const task = await app.create();
    const changes = await app.feed.watchTask(task.id);
    await next(changes);
    const claimed = await unannounced(claim(task.id, WORKER));
    await apply(complete({ taskId: task.id, version: claimed.version }, null));
    expect(await versions(changes)).toEqual([3, 4]);
  });

  test('an announcement that got lost is made up for even when no other follows', async () => {
    const task = await app.create();
    const changes = await app.feed.watchTask(task.id);
    await next(changes);
    await unannounced(cancel(task.id));
    expect(await versions(changes)).toEqual([3]);
  });

  test('all who missed the same share a read, and nobody reads what was announced', async () => {
    const sql = createFallibleSql(app.database);
    const feed = await createTaskFeed({ broker: app.broker, sql, log: app.logs.log });
    onTestFinished(feed.close);
    const [missed, heard] = [await app.create(), await app.create()];
    const streams = await Promise.all(
      Array.from({ length: 60 }, (_, n) => feed.watchTask(n % 2 === 0 ? missed.id : heard.id)),
    );
    await unannounced(cancel(missed.id));
    await apply(cancel(heard.id));
    for (const changes of streams) expect(await versions(changes)).toEqual([2, 3]);
    expect(sql.statements.filter((name) => name === 'changes_of_each')).toHaveLength(1);
  });

  test('a payload that is too large to travel is left out, and had when it is asked for', async () => {
    const { id } = await app.create();
    const payload = { text: 'x'.repeat(70_000) };
    const text = 'update tasks set payload = $2 where id = $1';
    await app.database.run({ text }, [id, payload]);
    const { task } = await next(await app.feed.watchTask(id));
    expect(task).toMatchObject({ payload: null, omitted: ['payload'] });
    expect(await app.service.whole(task)).toEqual(await app.service.get(id));
    await app.database.run({ text }, [id, { text: 'x'.repeat(60_000) }]);
    const { task: carried } = await next(await app.feed.watchTask(id));
    expect(carried).toEqual(await app.service.get(id));
  });

  test('in a history all but the small ones are left out', async () => {
    const task = await app.create({ payload: { durationMs: 1 } });
    const first = await next(await app.feed.watchTask(task.id));
    const text = 'update tasks set payload = $2 where id = $1';
    await app.database.run({ text }, [task.id, { text: 'x'.repeat(3_000) }]);
    await apply(cancel(task.id));
    const { task: read } = await next(await app.feed.watchTask(task.id, cursorOf(first)));
    expect(read).toMatchObject({ payload: null, omitted: ['payload'] });
    expect(await app.service.whole(read)).toEqual(await app.service.get(task.id));
  });

  test('what is announced while nothing is found to be missing is not forgotten', async () => {
    const sql = createFallibleSql(app.database);
    let doubt = () => {};
    const broker: Broker = {
      ...app.broker,
      openEventStream(listener) {
        doubt = listener.onGap;
        return app.broker.openEventStream(listener);
      },
    };
    const feed = await createTaskFeed({ broker, sql, log: app.logs.log });
    onTestFinished(feed.close);
    const task = await app.create();
    const changes = await feed.watchTask(task.id);
    await next(changes);
    // Nobody looks for what got lost.
    sql.hold('present_states');
    const answers = sql.holdAnswers();
    doubt();
    await vi.waitFor(() => expect(sql.statements).toContain('changes_of_each'));
    // The read has seen what there was, and its answer is on the way.
    await app.database.run({ text: 'select pg_sleep(0.05)' });
    await apply(cancel(task.id));
    answers.end();
    expect(await versions(changes)).toEqual([3]);
  });

  test('a doubled announcement is delivered once', async () => {
    const task = await app.create();
    const changes = await app.feed.watchTask(task.id);
    await next(changes);
    const [claimed] = await app.advance([claim(task.id, WORKER)]);
    if (claimed === undefined) throw new Error('not claimed');
    app.broker.publishEvents([claimed, claimed]);
    await apply(cancel(task.id));
    expect(await versions(changes)).toEqual([3, 4]);
  });

  test('gives a history longer than what a subscriber may lag behind', async () => {
    const task = await app.create();
    const first = await next(await app.feed.watchTask(task.id));
    await app.database.run(
      {
        text: `
with history as (
  insert into task_events (task_id, version, status, previous_status, attempt)
  select $1, version, 'PENDING', 'PENDING', 0 from generate_series(3, 3000) version order by version
)
update tasks set version = 3000 where id = $1`,
      },
      [task.id],
    );
    await apply(cancel(task.id));
    const late = await app.feed.watchTask(task.id, cursorOf(first));
    const prompt = await app.feed.watchTask(task.id, cursorOf(first));
    for (const resumed of [prompt, late]) {
      expect(await versions(resumed)).toEqual(Array.from({ length: 2_999 }, (_, n) => n + 3));
    }
  });

  test('refuses an unknown task, a cursor that is none, and one of another task', async () => {
    const [one, other] = [await app.create(), await app.create()];
    const change = await next(await app.feed.watchTask(other.id));
    await expect(app.feed.watchTask('01890000-0000-7000-8000-000000000000')).rejects.toMatchObject({
      code: 'TASK_NOT_FOUND',
    });
    for (const cursor of ['nonsense', '', cursorOf(change)]) {
      await expect(app.feed.watchTask(one.id, cursor)).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        issues: [{ path: ['after'] }],
      });
    }
  });

  test('refuses a cursor that the task has not got to', async () => {
    const task = await app.create();
    const { event, ...change } = await next(await app.feed.watchTask(task.id));
    const ahead = cursorOf({ ...change, event: { ...event, version: event.version + 1 } });
    await expect(app.feed.watchTask(task.id, ahead)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      issues: [{ path: ['after'], message: 'is ahead of every change that there is' }],
    });
  });

  test('ends for all who watch when the feed is closed', async () => {
    const task = await app.create();
    const changes = await app.feed.watchTask(task.id);
    await next(changes);
    const waiting = changes.next();
    await app.feed.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });
});

describe('watching many tasks', () => {
  test('gives the changes that match from now on', async () => {
    const changes = await app.feed.watchTasks({ priority: ['HIGH'], status: ['PENDING'] });
    await app.create({ priority: 'LOW' });
    const high = await app.create({ priority: 'HIGH' });
    const { event } = await next(changes);
    expect([event.taskId, event.status]).toEqual([high.id, 'PENDING']);
  });

  test('resumed from a cursor gives all that was missed, then goes on', async () => {
    const changes = await app.feed.watchTasks({});
    const first = await app.create();
    const seenLast = await next(changes);
    await changes.return?.();
    const second = await app.create();
    const resumed = await app.feed.watchTasks({}, cursorOf(seenLast));
    const third = await app.create();
    const seen = [];
    for (let count = 0; count < 5; count += 1) seen.push((await next(resumed)).event);
    expect(seen.map(({ taskId, status }) => [taskId, status])).toEqual([
      [first.id, 'PENDING'],
      [second.id, 'NEW'],
      [second.id, 'PENDING'],
      [third.id, 'NEW'],
      [third.id, 'PENDING'],
    ]);
  });
});

async function apply(transition: Transition): Promise<Task> {
  const [change] = await app.advance([transition]);
  if (change === undefined) throw new Error('the guard did not hold');
  return change.task;
}

/** A change whose announcement nobody hears. */
async function unannounced(transition: Transition): Promise<Task> {
  const deaf = createAdvance({ sql: app.database, broker: createMemoryBroker() });
  const [change] = await deaf([transition]);
  if (change === undefined) throw new Error('the guard did not hold');
  return change.task;
}

async function next(changes: AsyncIterator<TaskChange>): Promise<TaskChange> {
  const { value, done } = await changes.next();
  if (done === true) throw new Error('the stream has ended');
  return value;
}

async function all(changes: AsyncIterable<TaskChange>): Promise<TaskChange[]> {
  return Array.fromAsync(changes);
}

async function versions(changes: AsyncIterable<TaskChange>): Promise<number[]> {
  return (await all(changes)).map(({ event }) => event.version);
}

function summary({ event }: TaskChange) {
  return [event.version, event.previousStatus, event.status];
}

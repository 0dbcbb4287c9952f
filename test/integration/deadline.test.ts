import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import { parseInput } from '../../src/domain/parse.ts';
import type { Task, TaskChange } from '../../src/domain/task.ts';
import * as t from '../../src/domain/transitions.ts';
import { noHandlerFor, SHUT_DOWN_BEFORE } from '../../src/domain/unseen-reasons.ts';
import { createAdvanceOne } from '../../src/tasks/advance-one.ts';
import { claimTask } from '../../src/worker/claim-task.ts';
import type { TaskHandler } from '../../src/worker/handler.ts';
import { historyOf } from '../support/history-of.ts';
import { createInbox } from '../support/inbox.ts';
import { missDeadline } from '../support/miss-deadline.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';
const FAILURE = {
  error: { name: 'Error', message: 'boom', stack: null, attempt: 1 },
  outcome: 'FAILED',
} as const;
const EXPIRED = { status: 'CANCELLED', attempt: 0, startedAt: null };

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('a task with a deadline', () => {
  test('is cancelled soon after it when all slots are taken, whether PENDING or NEW', async () => {
    const started = createInbox<void>();
    const simulate: TaskHandler = {
      description: 'a test',
      async run({ signal }) {
        started.put();
        await sleep(60_000, undefined, { signal });
      },
    };
    await app.startWorker({ handlers: { simulate } });
    await app.create();
    await started.take();
    const pending = await app.create({ ttlSeconds: 1 });
    const waiting = await app.create({ runAt: new Date(Date.now() + 60_000) });
    await missDeadline(app.database, waiting);

    await Promise.all([pending, waiting].map(({ id }) => app.follow(id)));
    const expired = await app.service.get(pending.id);
    expect(expired).toMatchObject(EXPIRED);
    expect(Number(expired.finishedAt) - Number(expired.expiresAt)).toBeGreaterThanOrEqual(0);
    expect(await app.service.get(waiting.id)).toMatchObject(EXPIRED);
    const history = await historyOf(app.database, pending.id);
    expect(history.at(-1)?.event).toMatchObject({
      reason: 'Not started by its deadline.',
      outcome: null,
    });
  });

  test('is not claimed once it has passed, however soon the message comes', async () => {
    const task = await app.create({ ttlSeconds: 60 });
    await missDeadline(app.database, task);
    const advance = createAdvanceOne({ sql: app.database, advance: app.advance });
    const claimed = await claimTask(
      { id: task.id, priority: 'MEDIUM' },
      { advance, workerId: () => WORKER, givesUp: () => false },
    );
    expect(claimed).toBeUndefined();
    expect(await app.service.get(task.id)).toMatchObject(EXPIRED);
  });

  test('is not cancelled before it', async () => {
    const task = await app.create({ ttlSeconds: 60 });
    expect(await apply(t.expire(task.id))).toBeUndefined();
    expect((await apply(t.claim(task.id, WORKER)))?.task.status).toBe('IN_PROGRESS');
  });

  test.each([
    ['failed', (claim: t.Claim) => t.retryLater(claim, FAILURE, 0)],
    ['was given back unused', t.release],
  ])('may run again after it when a run started in time and %s', async (_what, endRun) => {
    const task = await app.create({ ttlSeconds: 60 });
    const running = (await apply(t.claim(task.id, WORKER)))?.task ?? task;
    await apply(endRun({ taskId: task.id, version: running.version }));
    await missDeadline(app.database, task);
    expect(await apply(t.expire(task.id))).toBeUndefined();
    expect((await apply(t.claim(task.id, WORKER)))?.task.status).toBe('IN_PROGRESS');
  });

  test('is cancelled after it when whoever took it had no handler for it, unless a run had started before', async () => {
    const [fresh, started] = [
      await app.create({ ttlSeconds: 60 }),
      await app.create({ ttlSeconds: 60 }),
    ];
    const running = (await apply(t.claim(started.id, WORKER)))?.task ?? started;
    // A drained worker gives the attempt back as well.
    await apply(t.release({ taskId: started.id, version: running.version }));
    const reasons = [noHandlerFor('simulate'), SHUT_DOWN_BEFORE, noHandlerFor('simulate')];
    for (const { id } of [fresh, started]) {
      for (const reason of reasons) {
        const claimed = (await apply(t.claim(id, WORKER)))?.task ?? fresh;
        await apply(t.decline({ taskId: id, version: claimed.version }, 0, reason));
      }
    }
    expect((await app.service.get(fresh.id)).startedAt).toBeNull();
    expect((await app.service.get(started.id)).startedAt).toEqual(running.startedAt);
    for (const task of [fresh, started]) await missDeadline(app.database, task);
    expect((await apply(t.expire(fresh.id)))?.task).toMatchObject(EXPIRED);
    expect(await apply(t.expire(started.id))).toBeUndefined();
  });

  test('has none any more when it is retried', async () => {
    const task = await app.create({ ttlSeconds: 60 });
    await missDeadline(app.database, task);
    await apply(t.expire(task.id));
    expect(await app.service.retry(task.id)).toMatchObject({ status: 'NEW', expiresAt: null });
  });
});

describe('the deadline', () => {
  test('is as it was said, or lies that far after runAt, or after now if that is later', async () => {
    const later = new Date(Date.now() + 3_600_000);
    const evenLater = new Date(later.getTime() + 60_000);
    expect((await app.create()).expiresAt).toBeNull();
    expect((await app.create({ expiresAt: later })).expiresAt).toEqual(later);
    expect((await app.create({ runAt: later, ttlSeconds: 60 })).expiresAt).toEqual(evenLater);
    for (const runAt of [undefined, new Date(0)]) {
      const { createdAt, expiresAt } = await app.create({ runAt, ttlSeconds: 60 });
      expect(Number(expiresAt) - createdAt.getTime()).toBe(60_000);
    }
  });

  test('may have passed when it comes again with its key', async () => {
    const input = {
      title: 'a test',
      idempotencyKey: 'once',
      expiresAt: new Date(Date.now() + 60_000),
    };
    const first = await create(input);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 });
    onTestFinished(() => void vi.useRealTimers());
    expect(await create(input)).toEqual({ task: first.task, replayed: true });
    await expect(create({ ...input, idempotencyKey: null })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });

  test('is part of what an idempotency key stands for, as the client said it', async () => {
    const first = await create({ idempotencyKey: 'a', ttlSeconds: 60 });
    const again = await create({ idempotencyKey: 'a', ttlSeconds: 60 });
    expect(again).toEqual({ task: first.task, replayed: true });
    await expect(create({ idempotencyKey: 'a', ttlSeconds: 61 })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    });
  });
});

async function apply(transition: t.Transition): Promise<TaskChange | undefined> {
  const [change] = await app.advance([transition]);
  return change;
}

const TYPES = { simulate: { description: '' } };

async function create(input: Record<string, unknown>): Promise<{ task: Task; replayed: boolean }> {
  return app.service.create(parseInput(newTaskSchema(TYPES), { title: 'a test', ...input }));
}

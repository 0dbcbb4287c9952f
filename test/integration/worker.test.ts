import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { eventPattern, progressPattern } from '../../src/broker/messages.ts';
import type { Task, TaskProgress } from '../../src/domain/task.ts';
import { DoNotRetry, type RunContext, type TaskHandler } from '../../src/worker/handler.ts';
import { historyOf } from '../support/history-of.ts';
import { createInbox } from '../support/inbox.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let app: TestService;

describe('a worker', () => {
  beforeEach(async () => {
    app = await startTestService({ taskTypes: { probe: handler(async () => {}) } });
  });

  test('runs a task and stores what its handler returned', async () => {
    await start(async ({ task }) => ({ hello: task.title }));
    const task = await create({ title: 'world' });
    expect(await finished(task)).toMatchObject({
      status: 'COMPLETED',
      result: { hello: 'world' },
      attempt: 1,
      workerId: null,
    });
  });

  test('tries again after a failure, until the attempts are used up', async () => {
    await start(async ({ task }) => {
      throw new Error(`boom ${task.attempt}`);
    });
    const task = await create({ maxAttempts: 2 });
    const failed = await finished(task);
    expect(failed).toMatchObject({ status: 'FAILED', attempt: 2, result: null });
    expect(failed.error).toMatchObject({ name: 'Error', message: 'boom 2', attempt: 2 });
    expect(failed.error?.stack).toContain('worker.test.ts');
    expect(await statuses(task)).toEqual([
      'NEW',
      'PENDING',
      'IN_PROGRESS',
      'NEW',
      'PENDING',
      'IN_PROGRESS',
      'FAILED',
    ]);
  });

  test('waits before the next attempt as the task says, not as its type does', async () => {
    await start(async () => {
      throw new Error('boom');
    });
    const task = await create({ retry: { baseSeconds: 30, capSeconds: 10 } });
    await expect.poll(() => app.service.get(task.id)).toMatchObject({ status: 'NEW', attempt: 1 });
    const failed = (await historyOf(app.database, task.id)).at(-1);
    expect(Number(failed?.task.runAt) - Number(failed?.event.at)).toBeGreaterThan(9_000);
  });

  test('does not try again what will never succeed', async () => {
    await start(async () => {
      throw new DoNotRetry('no such customer');
    });
    const task = await create();
    expect(await finished(task)).toMatchObject({ status: 'FAILED', attempt: 1 });
  });

  test('fails a run whose result cannot be stored', async () => {
    await start(async () => 'x'.repeat(300_000));
    const task = await create({ maxAttempts: 1 });
    const { status, error } = await finished(task);
    expect(status).toBe('FAILED');
    expect(error?.message).toContain('256 KiB');
  });

  test('aborts the signal of a task that is cancelled, and keeps the task cancelled', async () => {
    const started = createInbox<RunContext>();
    await start(async (context) => {
      started.put(context);
      await sleep(60_000, undefined, { signal: context.signal });
    });
    const task = await create();
    const { signal } = await started.take();
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    await app.service.cancel(task.id, 'changed my mind');
    await aborted;
    expect(signal.reason).toMatchObject({ name: 'RunAborted', reason: 'CANCELLED' });
    expect(await finished(task)).toMatchObject({ status: 'CANCELLED', result: null });
  });

  test('aborts a task that takes too long, and counts that as a failed attempt', async () => {
    await start(({ signal }) => sleep(60_000, undefined, { signal }));
    const task = await create({ timeoutSeconds: 1, maxAttempts: 1 });
    const { status, error } = await finished(task);
    expect([status, error?.name, error?.message]).toEqual([
      'FAILED',
      'TimedOut',
      'Took longer than 1 s.',
    ]);
    const history = await historyOf(app.database, task.id);
    expect(history.at(-1)?.event.outcome).toBe('TIMED_OUT');
  });

  test('that stops lets a task finish within the grace period', async () => {
    const started = createInbox<void>();
    const finish = Promise.withResolvers<string>();
    const worker = await start(() => {
      started.put();
      return finish.promise;
    });
    const task = await create();
    await started.take();
    const stopped = worker.stop(60_000);
    finish.resolve('in time');
    await stopped;
    expect(await app.service.get(task.id)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  });

  test('that stops gives back what does not finish, without using up an attempt', async () => {
    const started = createInbox<void>();
    const worker = await start(async ({ signal }) => {
      started.put();
      await sleep(60_000, undefined, { signal });
    });
    const task = await create();
    await started.take();
    await worker.stop(0);
    const { attempt, workerId } = await app.service.get(task.id);
    expect([attempt, workerId]).toEqual([0, null]);
    await start(async () => 'second worker');
    expect(await finished(task)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  });

  test('runs a task that is due later when its time has come, and not before', async () => {
    await start(async () => Date.now());
    const runAt = new Date(Date.now() + 700);
    const task = await create({ runAt });
    expect(task.status).toBe('NEW');
    const { result } = await finished(task);
    expect(Number(result)).toBeGreaterThanOrEqual(runAt.getTime());
  });

  test('shows how far a run is', async () => {
    const reported = createInbox<void>();
    const finish = Promise.withResolvers<void>();
    await start(async ({ progress }) => {
      progress(0.25, 'a quarter');
      progress(2);
      progress(0.5, 'half way');
      reported.put();
      await finish.promise;
    });
    const task = await create();
    await reported.take();
    const half = { progress: 0.5, progressMessage: 'half way' };
    await expect.poll(() => app.service.get(task.id)).toMatchObject(half);
    finish.resolve();
    const seen = await finished(task);
    expect([seen.progress, seen.progressMessage]).toEqual([1, 'half way']);
  });

  test('announces the last progress of a run before the change that ends it', async () => {
    const begin = Promise.withResolvers<void>();
    await start(async ({ progress }) => {
      await begin.promise;
      progress(0.25, 'a quarter');
      await sleep(0);
      for (const percent of [50, 75, 99]) progress(percent / 100, `${percent} %`);
    });
    const task = await create();
    const heard = createInbox<string | TaskProgress>();
    const stream = await app.broker.openEventStream({
      onChange: ({ event }) => heard.put(event.status),
      onProgress: heard.put,
      onGap: () => {},
    });
    await stream.bind(progressPattern(task.id));
    await stream.bind(eventPattern({ id: task.id, status: 'COMPLETED' }));
    begin.resolve();
    await finished(task);
    const last = { taskId: task.id, attempt: 1, progress: 0.99, message: '99 %' };
    await expect.poll(() => heard.all.at(-1)).toBe('COMPLETED');
    expect(heard.all.at(-2)).toMatchObject(last);
  });

  test('runs no more tasks of a priority at once than it has slots, and none waits for another priority', async () => {
    const running = { HIGH: 0, MEDIUM: 0, LOW: 0 };
    const most = { HIGH: 0, MEDIUM: 0, LOW: 0 };
    const block = Promise.withResolvers<void>();
    await start(
      async ({ task: { priority } }) => {
        running[priority] += 1;
        most[priority] = Math.max(most[priority], running[priority]);
        if (priority === 'LOW') await block.promise;
        running[priority] -= 1;
      },
      { HIGH: 2, LOW: 1 },
    );
    const low = await Promise.all([create({ priority: 'LOW' }), create({ priority: 'LOW' })]);
    const high = await Promise.all(Array.from({ length: 10 }, () => create({ priority: 'HIGH' })));
    await Promise.all(high.map(finished));
    block.resolve();
    await Promise.all(low.map(finished));
    expect(most.HIGH).toBeLessThanOrEqual(2);
    expect(most.LOW).toBe(1);
  });

  test('that finds itself declared dead aborts what it runs, and goes on under a new identity', async () => {
    const started = createInbox<RunContext>();
    await start(
      async (context) => {
        started.put(context);
        if (context.task.attempt === 1) await sleep(60_000, undefined, { signal: context.signal });
        return context.task.attempt;
      },
      { MEDIUM: 2 },
    );
    const task = await create();
    const first = await started.take();
    await app.database.run({ text: 'update workers set stopped_at = now()' });
    expect(await finished(task)).toMatchObject({ status: 'COMPLETED', attempt: 2, result: 2 });
    expect(first.signal.aborted).toBe(true);
    const workers = await app.database.run({
      text: 'select from workers where stopped_at is null',
    });
    expect(workers).toHaveLength(1);
  });

  test('does not run a task again that has killed three', { timeout: 30_000 }, async () => {
    const started = createInbox<number>();
    await start(
      async ({ task, signal }) => {
        started.put(task.attempt);
        if (task.attempt <= 3) await sleep(60_000, undefined, { signal });
        return 'harmless now';
      },
      { MEDIUM: 2 },
    );
    const task = await create({ maxAttempts: 10 });
    for (const attempt of [1, 2, 3]) {
      expect(await started.take()).toBe(attempt);
      await app.database.run({ text: 'update workers set stopped_at = now()' });
    }
    const { status, attempt, error } = await finished(task);
    expect([status, attempt, error?.name]).toEqual(['FAILED', 3, 'WorkerDied']);
    expect(error?.message).toMatch(/^3 workers died while they ran this task\. Worker \S+ stopped/);
    const history = await historyOf(app.database, task.id);
    expect(history.at(-1)?.event).toMatchObject({ outcome: 'WORKER_DIED', reason: error?.message });
    expect(await deaths(task)).toBe(3);

    await app.service.retry(task.id);
    expect(await deaths(task)).toBe(0);
    expect(await finished(task)).toMatchObject({ status: 'COMPLETED', result: 'harmless now' });
  });

  test('gives back a task whose claim it never heard of', async () => {
    await start(async () => 'found');
    await expect.poll(workers).toHaveLength(1);
    const task = await claimUnheard("interval '1 minute'");
    expect(await finished(task)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  });

  test('gives back such a task before it retires', async () => {
    const worker = await start(async () => 'found');
    await expect.poll(workers).toHaveLength(1);
    const task = await claimUnheard("interval '1 second'");
    await worker.stop(0);
    // Out of its hands, and on the way to the next one.
    const given = await app.service.get(task.id);
    expect(given).toMatchObject({ status: expect.toBeOneOf(['NEW', 'PENDING']), attempt: 0 });
    expect(await workers()).toEqual([]);
  });

  test('stops in time although the database has gone', async () => {
    const started = createInbox<void>();
    const worker = await start(async ({ signal }) => {
      started.put();
      await sleep(60_000, undefined, { signal });
    });
    await create();
    await started.take();
    await app.database.close();
    await worker.stop(0);
  });

  test('sends a task again whose message was lost', { timeout: 30_000 }, async () => {
    const task = await create();
    // The only message there was goes to a consumer that drops it.
    const taken = createInbox<void>();
    const thief = await app.broker.consumeTasks({
      slots: { HIGH: 1, MEDIUM: 1, LOW: 1 },
      onTask(delivery) {
        delivery.ack();
        taken.put();
      },
    });
    await taken.take();
    await thief.stop();
    await app.database.run({ text: "update tasks set queued_at = now() - interval '1 minute'" });
    await start(async () => 'found');
    expect(await finished(task)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  });
});

function handler(run: TaskHandler['run']): TaskHandler {
  const retry = { baseMs: 10, factor: 1, capMs: 10, jitter: 0 };
  return { description: 'a test', retry, run };
}

function start(
  run: TaskHandler['run'],
  slots: { HIGH?: number; MEDIUM?: number; LOW?: number } = {},
) {
  return app.startWorker({ handlers: { probe: handler(run) }, slots });
}

function create(input: Record<string, unknown> = {}): Promise<Task> {
  return app.create({ type: 'probe', ...input });
}

async function finished({ id }: Task): Promise<Task> {
  await app.follow(id);
  return app.service.get(id);
}

function workers(): Promise<{ id: string }[]> {
  return app.database.run({ text: 'select id from workers where stopped_at is null' });
}

async function deaths({ id }: Task): Promise<number | undefined> {
  const count = 'select worker_deaths as count from tasks where id = $1';
  const [row] = await app.database.run<{ count: number }>({ text: count }, [id]);
  return row?.count;
}

async function statuses({ id }: Task): Promise<string[]> {
  return (await historyOf(app.database, id)).map(({ event }) => event.status);
}

/** A task that the one worker holds without knowing, as if the answer to its claim had been lost on its way. */
async function claimUnheard(ago: string): Promise<Task> {
  const [worker] = await workers();
  const task = await app.create({ type: 'probe', runAt: new Date(Date.now() + 60_000) });
  const row = `status = 'IN_PROGRESS', version = 2, attempt = 1, worker_id = $2, started_at = now() - ${ago}`;
  await app.database.run({ text: `update tasks set ${row} where id = $1` }, [task.id, worker?.id]);
  const event = 'insert into task_events (task_id, version, status, previous_status, attempt)';
  await app.database.run({ text: `${event} values ($1, 2, 'IN_PROGRESS', 'NEW', 1)` }, [task.id]);
  return task;
}

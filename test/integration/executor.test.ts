import pg from 'pg';
import { beforeEach, expect, test } from 'vitest';
import type { TaskDelivery } from '../../src/broker/broker.ts';
import { claim, release } from '../../src/domain/transitions.ts';
import { timesGivenBack } from '../../src/store/event-queries.ts';
import type { Advance } from '../../src/tasks/advance.ts';
import { createAdvanceOne } from '../../src/tasks/advance-one.ts';
import { createExecutor } from '../../src/worker/executor.ts';
import type { TaskHandlers } from '../../src/worker/handler.ts';
import { createProgressWriter } from '../../src/worker/progress-writer.ts';
import { createRuns } from '../../src/worker/runs.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';

let app: TestService;
let settled: string[];

beforeEach(async () => {
  app = await startTestService();
  settled = [];
});

test('a message that is quicker than the commit of its row waits for the row', async () => {
  const task = await app.create({ payload: { durationMs: 0 } });
  // As if the row were committed only after the first look at it, and again between a claim and the look at it. Each
  // claim is tried twice, once in a batch.
  let claims = 0;
  const execute = executor(async (transitions) => {
    claims += 1;
    return claims <= 4 ? [undefined] : app.advance(transitions);
  });
  await execute(delivery(task.id));
  expect((await app.service.get(task.id)).status).toBe('COMPLETED');
  expect(settled).toEqual(['ack']);
});

test('a message whose row was rolled back is dropped as soon as that is certain', async () => {
  const storedAt = Date.now() - 17_000;
  await executor(app.advance)(delivery('01890000-0000-7000-8000-000000000000', storedAt));
  expect(settled).toEqual(['ack']);
  expect(Date.now() - storedAt).toBeGreaterThan(17_500);
});

test('a message without a row that was committed long ago is dropped at once', async () => {
  await executor(app.advance)(delivery('01890000-0000-7000-8000-000000000000'));
  expect(settled).toEqual(['ack']);
});

test('a message about a task that is done already is acknowledged and changes nothing', async () => {
  const task = await app.create();
  const cancelled = await app.service.cancel(task.id);
  await executor(app.advance)(delivery(task.id));
  expect(await app.service.get(task.id)).toEqual(cancelled);
  expect(settled).toEqual(['ack']);
});

test('a task of a type that this worker has no handler for is left to others, with its attempt', async () => {
  const task = await app.create({ payload: { durationMs: 0 } });
  await executor(app.advance, {})(delivery(task.id));
  const { status, attempt, runAt } = await app.service.get(task.id);
  expect([status, attempt]).toEqual(['NEW', 0]);
  expect(runAt.getTime() - Date.now()).toBeGreaterThan(3_000);
  expect(settled).toEqual(['ack']);
  expect(app.logs.lines.all).toContainEqual(
    expect.objectContaining({ level: 'warn', type: 'simulate', taskId: task.id }),
  );
});

test('what counts is how often a worker had no handler since a client last retried the task', async () => {
  const task = await app.create({ maxAttempts: 100 });
  const declineTimes = async (times: number) => {
    for (let i = 0; i < times; i += 1) {
      await executor(app.advance, {})(delivery(task.id));
      await app.database.run({ text: 'update tasks set run_at = now() where id = $1' }, [task.id]);
    }
  };
  // Each costs three changes as well.
  for (let attempt = 1; attempt <= 40; attempt += 1) {
    const [claimed] = await app.advance([claim(task.id, WORKER)]);
    await app.advance([release({ taskId: task.id, version: claimed?.task.version ?? 0 })]);
  }
  await declineTimes(1);
  expect((await app.service.get(task.id)).status).toBe('NEW');
  await declineTimes(34);
  expect(await app.service.get(task.id)).toMatchObject({
    status: 'FAILED',
    error: { name: 'UnknownType' },
  });
  await app.service.retry(task.id);
  await declineTimes(1);
  expect((await app.service.get(task.id)).status).toBe('NEW');
});

test('an outcome that the database can never store fails the task, and leaves the slot', async () => {
  const task = await app.create({ maxAttempts: 5 });
  const execute = executor(async (transitions, options) => {
    if (transitions.some(({ patch }) => patch.status === 'COMPLETED')) throw outOfRange();
    return app.advance(transitions, options);
  });
  await execute(delivery(task.id));
  expect(await app.service.get(task.id)).toMatchObject({
    status: 'FAILED',
    error: { name: 'NotStored', attempt: 1 },
  });
  expect(settled).toEqual(['ack']);
});

test('an outcome outlasts a time in which the database refuses everything', async () => {
  const task = await app.create();
  let refusals = 7;
  const execute = executor(async (transitions, options) => {
    const settles = transitions.some(({ guard }) => guard.status.includes('IN_PROGRESS'));
    if (settles && refusals > 0) {
      refusals -= 1;
      throw new Error('refused');
    }
    return app.advance(transitions, options);
  });
  await execute(delivery(task.id));
  expect(await app.service.get(task.id)).toMatchObject({ status: 'COMPLETED', result: 'done' });
});

test('a task that no handler has seen when the worker shuts down keeps its deadline', async () => {
  const [unseen, seen] = [
    await app.create({ ttlSeconds: 60 }),
    await app.create({ ttlSeconds: 60 }),
  ];
  const [claimed] = await app.advance([claim(seen.id, WORKER)]);
  await app.advance([release({ taskId: seen.id, version: claimed?.task.version ?? 0 })]);
  const runs = createRuns();
  runs.shutDown();
  const ran: string[] = [];
  const simulate = { description: 'a test', run: async () => void ran.push('run') };
  for (const { id } of [unseen, seen]) {
    await executor(app.advance, { simulate }, runs)(delivery(id));
  }
  expect(ran).toEqual([]);
  expect(await app.service.get(unseen.id)).toMatchObject({ status: 'NEW', startedAt: null });
  expect((await app.service.get(seen.id)).startedAt).toEqual(claimed?.task.startedAt);
});

test('a message is given back when the database cannot be asked', async () => {
  await executor(async () => {
    throw new Error('away');
  })(delivery('01890000-0000-7000-8000-000000000000'));
  expect(settled).toEqual(['requeue']);
});

function outOfRange(): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('out of range', 0, 'error'), { code: '22008' });
}

function executor(
  advance: Advance,
  handlers: TaskHandlers = { simulate: { description: 'a test', run: async () => 'done' } },
  runs = createRuns(),
) {
  return createExecutor({
    advance: createAdvanceOne({ sql: app.database, advance }),
    handlers,
    runs,
    progress: createProgressWriter({ sql: app.database, broker: app.broker, log: app.logs.log }),
    workerId: () => WORKER,
    timesGivenBack: (taskId, reason) => timesGivenBack(app.database, taskId, reason),
    onDueAgain: () => {},
    random: () => 0,
    log: app.logs.log,
  });
}

function delivery(id: string, storedAt?: number): TaskDelivery {
  return {
    message: { id, priority: 'MEDIUM', storedAt },
    ack: () => void settled.push('ack'),
    ackEarly: () => void settled.push('ack early'),
    requeue: () => void settled.push('requeue'),
  };
}

import { beforeEach, expect, test } from 'vitest';
import type { TaskDelivery } from '../../src/broker/broker.ts';
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

test('a message is given back when the database cannot be asked', async () => {
  await executor(async () => {
    throw new Error('away');
  })(delivery('01890000-0000-7000-8000-000000000000'));
  expect(settled).toEqual(['requeue']);
});

function executor(
  advance: Advance,
  handlers: TaskHandlers = { simulate: { description: 'a test', run: async () => 'done' } },
) {
  return createExecutor({
    advance: createAdvanceOne({ sql: app.database, advance }),
    handlers,
    runs: createRuns(),
    progress: createProgressWriter({ sql: app.database, broker: app.broker, log: app.logs.log }),
    workerId: () => WORKER,
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

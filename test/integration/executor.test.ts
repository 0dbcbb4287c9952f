import { beforeEach, expect, test } from 'vitest';
import type { TaskDelivery } from '../../src/broker/broker.ts';
import type { Advance } from '../../src/tasks/advance.ts';
import { createExecutor } from '../../src/worker/executor.ts';
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
  // As if the row were committed only after the first look at it, and again between a claim and the look at it.
  let claims = 0;
  const execute = executor(async (transitions) => {
    claims += 1;
    return claims <= 2 ? [undefined] : app.advance(transitions);
  });
  await execute(delivery(task.id));
  expect((await app.service.get(task.id)).status).toBe('COMPLETED');
  expect(settled).toEqual(['ack']);
});

test('a message without a row is dropped after a while', async () => {
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

test('a message is given back when the database cannot be asked', async () => {
  await executor(async () => {
    throw new Error('away');
  })(delivery('01890000-0000-7000-8000-000000000000'));
  expect(settled).toEqual(['requeue']);
});

function executor(advance: Advance) {
  return createExecutor({
    sql: app.database,
    advance,
    handlers: { simulate: { description: 'a test', run: async () => 'done' } },
    runs: createRuns(),
    workerId: () => WORKER,
    onDueAgain: () => {},
    random: () => 0,
    log: app.logs.log,
  });
}

function delivery(id: string): TaskDelivery {
  return {
    message: { id, priority: 'MEDIUM' },
    ack: () => void settled.push('ack'),
    requeue: () => void settled.push('requeue'),
  };
}

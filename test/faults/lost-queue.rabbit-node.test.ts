import { expect, test, vi } from 'vitest';
import { rabbitNames } from '../../src/broker/rabbit-names.ts';
import { TASK_PRIORITIES } from '../../src/domain/task.ts';
import { breaches } from '../support/ledger.ts';
import { report } from '../support/measure.ts';
import { openChannel, setNodeStage, untilCompleted } from '../support/node-stage.ts';
import { createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { startSteadyLoad } from '../support/steady-load.ts';

const { taskQueue } = rabbitNames();

test('all queues purged with 1,000 tasks in them: every one completes', async () => {
  const { env, ledger, node } = await setNodeStage();
  const api = await startApi({ env });
  const channel = await openChannel(node);
  for (let round = 0; round < 50; round += 1) {
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        createTask(api.url, {
          priority: TASK_PRIORITIES[(round * 20 + index) % 3],
          payload: { durationMs: 5 },
        }),
      ),
    );
  }
  await vi.waitFor(async () => expect(await ledger.count('PENDING')).toBe(1_000), WAIT);

  let purged = 0;
  for (const queue of Object.values(taskQueue)) {
    purged += (await channel.purgeQueue(queue)).messageCount;
  }
  expect(purged).toBe(1_000);
  const purgedAt = await ledger.now();
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=10,MEDIUM=10,LOW=10' };
  await Promise.all([startWorker(roomy), startWorker(roomy)]);
  await untilCompleted(ledger, 1_000, 120_000);

  const tasks = await ledger.tasks();
  expect(breaches(tasks)).toEqual([]);
  expect(tasks.filter(({ attempt }) => attempt !== 1)).toEqual([]);
  const lastMs = Math.max(...tasks.map(({ finishedAt }) => Number(finishedAt)));
  report(`purge: all 1,000 tasks complete ${lastMs - Number(purgedAt)} ms after it`);
}, 180_000);

test('a queue deleted under load is there again, and every task completes', async () => {
  const { env, ledger, node } = await setNodeStage();
  const narrow = { ...env, WORKER_CONCURRENCY: 'HIGH=10,MEDIUM=2,LOW=10' };
  const [api, ...workers] = await Promise.all([
    startApi({ env }),
    startWorker(narrow),
    startWorker(narrow),
  ]);
  const channel = await openChannel(node);
  const load = startSteadyLoad({ urls: [api.url], perSecond: 60 });

  await load.untilAcknowledged(150);
  // A quarter of a minute's work, so that many wait in the queue when it goes.
  const backlog = Array.from({ length: 60 }, () =>
    createTask(api.url, { payload: { durationMs: 1_000 } }),
  );
  await Promise.all(backlog);
  const { messageCount } = await channel.deleteQueue(taskQueue.MEDIUM);
  expect(messageCount).toBeGreaterThan(0);
  const deletedAt = await ledger.now();
  await load.untilAcknowledged(load.acknowledged.length + 300);
  await load.stop();
  await untilCompleted(ledger, load.acknowledged.length + backlog.length, 120_000);

  const tasks = await ledger.tasks();
  expect(breaches(tasks)).toEqual([]);
  expect(load.failures).toEqual([]);
  const lastMs = Math.max(...tasks.map(({ finishedAt }) => Number(finishedAt)));
  report(
    `queue deleted with ${messageCount} tasks in it: all ${tasks.length} complete ${lastMs - Number(deletedAt)} ms after it`,
  );
  const { consumerCount } = await channel.checkQueue(taskQueue.MEDIUM);
  expect(consumerCount).toBe(2);
  expect([api, ...workers].map(({ isRunning }) => isRunning)).toEqual([true, true, true]);
}, 180_000);

const WAIT = { timeout: 30_000, interval: 50 };

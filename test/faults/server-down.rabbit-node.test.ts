import { expect, test, vi } from 'vitest';
import { breaches, type Ledger } from '../support/ledger.ts';
import { report } from '../support/measure.ts';
import { setNodeStage, untilCompleted } from '../support/node-stage.ts';
import { createTask, request } from '../support/rest-calls.ts';
import { type ServiceProcess, startApi, startWorker } from '../support/service-process.ts';
import { startSteadyLoad } from '../support/steady-load.ts';

test('RabbitMQ stopped and started: tasks are taken in as NEW meanwhile, and complete without a restart of ours', async () => {
  const { env, ledger, node } = await setNodeStage();
  const [api, worker] = await Promise.all([startApi({ env }), startWorker(env)]);
  await createTask(api.url, { payload: { durationMs: 20 } });
  await untilCompleted(ledger, 1);

  await node.ctl('stop_app');
  await healthOf(api.url, { database: true, rabbitmq: false, status: false });
  const created = await Promise.all(
    Array.from({ length: 50 }, () => createTask(api.url, { payload: { durationMs: 20 } })),
  );
  expect(new Set(created.map(({ status }) => status))).toEqual(new Set(['NEW']));
  expect(await ledger.count('NEW')).toBe(50);

  await node.ctl('start_app');
  const backAt = await ledger.now();
  await untilCompleted(ledger, 51);

  expect(breaches(await ledger.tasks())).toEqual([]);
  const lastSentMs = (await lastSent(ledger)) - Number(backAt);
  report(`start_app: the last of 50 tasks went out ${lastSentMs} ms after RabbitMQ came back`);
  expect(lastSentMs).toBeLessThan(5_000);
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });
  expectRunning(api, worker);
}, 120_000);

test('RabbitMQ killed with -9 under load and started again: every acknowledged task completes', async () => {
  const { env, ledger, node } = await setNodeStage();
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=4,MEDIUM=4,LOW=4' };
  const [api, ...workers] = await Promise.all([
    startApi({ env }),
    startWorker(roomy),
    startWorker(roomy),
  ]);
  const load = startSteadyLoad({ urls: [api.url], perSecond: 60 });

  await load.untilAcknowledged(150);
  await node.kill();
  const before = load.acknowledged.length;
  await load.untilAcknowledged(before + 100);
  await node.start();
  const backAt = await ledger.now();
  const after = load.acknowledged.length;
  await load.untilAcknowledged(after + 150);
  await load.stop();
  await untilCompleted(ledger, load.acknowledged.length);
  const doneMs = Number(await ledger.now()) - Number(backAt);

  const tasks = await ledger.tasks();
  const stored = new Set(tasks.map(({ id }) => id));
  expect(load.acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  expect(breaches(tasks)).toEqual([]);
  expect(load.failures).toEqual([]);
  report(
    `kill -9: ${tasks.length} tasks, ${after - before} of them created while RabbitMQ was away, ` +
      `all complete ${doneMs} ms after its return`,
  );
  expectRunning(api, ...workers);
}, 180_000);

const WAIT = { timeout: 30_000, interval: 50 };

/** Waits until `/health` says so. */
async function healthOf(url: string, expected: Record<string, boolean>): Promise<void> {
  await vi.waitFor(async () => {
    expect(await request(url, 'GET', '/health')).toMatchObject({ status: 200, body: expected });
  }, WAIT);
}

/** When RabbitMQ confirmed the last of all tasks. */
async function lastSent(ledger: Ledger): Promise<number> {
  const events = (await ledger.tasks()).flatMap(({ history }) => history);
  const sent = events.filter(({ status }) => status === 'PENDING');
  return Math.max(...sent.map(({ at }) => Date.parse(at)));
}

function expectRunning(...processes: ServiceProcess[]): void {
  for (const { isRunning } of processes) expect(isRunning).toBe(true);
}

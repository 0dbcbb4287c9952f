import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runGraphql } from '../support/graphql-client.ts';
import { median, report } from '../support/measure.ts';
import { createTask } from '../support/rest-calls.ts';
import { type ServiceProcess, startApi, startWorker } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';
import { scaled } from './scale.ts';

const AT_ONCE = 20;

test('a cancel fires the signal of the code that runs in another process', async () => {
  const { env } = await setStage();
  const [{ url }, worker] = await Promise.all([startApi({ env }), startProbe(env)]);
  const delaysMs: number[] = [];
  for (let round = 0; round < scaled(3, 10); round += 1) {
    delaysMs.push(...(await cancelAll(url, worker, await runTasks(url, worker))));
  }
  tell('cancel to signal', delaysMs);
  // Without RabbitMQ's word the worker looks four times a second.
  expect(median(delaysMs)).toBeLessThan(100);
  expect(p99(delaysMs)).toBeLessThan(500);
}, 60_000);

test('a cancel reaches a worker that is cut off from RabbitMQ as well, by way of the database', async () => {
  const { env } = await setStage();
  const rabbit = await setLink(env.RABBITMQ_URL);
  const [{ url }, worker] = await Promise.all([
    startApi({ env }),
    startProbe({ ...env, RABBITMQ_URL: rabbit.url }),
  ]);
  const delaysMs: number[] = [];
  for (let round = 0; round < scaled(3, 10); round += 1) {
    const ids = await runTasks(url, worker);
    // By turns, a link that is dead without anybody noticing, and a server that refuses.
    if (round % 2 === 0) rabbit.stall();
    else await rabbit.refuse();
    delaysMs.push(...(await cancelAll(url, worker, ids)));
    await rabbit.heal();
  }
  tell('cancel to signal, cut off', delaysMs);
  // The heartbeat alone, once a second, would make it 500.
  expect(median(delaysMs)).toBeLessThan(400);
}, 120_000);

function startProbe(env: Record<string, string>): Promise<ServiceProcess> {
  const roomy = { ...env, WORKER_CONCURRENCY: `HIGH=${AT_ONCE},MEDIUM=1,LOW=1` };
  return startWorker(roomy, { script: 'test/faults/probe-worker.ts' });
}

/** Creates tasks and waits until they run. */
async function runTasks(url: string, worker: ServiceProcess): Promise<string[]> {
  const before = worker.count('probe started');
  const created = Array.from({ length: AT_ONCE }, () => createTask(url, { priority: 'HIGH' }));
  const ids = (await Promise.all(created)).map(({ id }) => id);
  await worker.said('probe started', before + AT_ONCE);
  return ids;
}

/** Cancels them one after the other, at moments that have nothing to do with any rhythm of the worker. */
async function cancelAll(
  url: string,
  worker: ServiceProcess,
  ids: readonly string[],
): Promise<number[]> {
  const delaysMs: number[] = [];
  for (const id of ids) {
    const sentAt = Date.now();
    await runGraphql(url, { query: CANCEL, variables: { id } });
    const { at } = await worker.said(`"probe aborted","taskId":"${id}"`);
    delaysMs.push(Number(at) - sentAt);
    await sleep(Math.random() * 50);
  }
  return delaysMs;
}

const CANCEL = 'mutation ($id: ID!) { cancelTask(id: $id) { status } }';

function p99(delaysMs: readonly number[]): number {
  const sorted = delaysMs.toSorted((one, other) => one - other);
  return sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Number.NaN;
}

function tell(what: string, delaysMs: readonly number[]): void {
  const sorted = delaysMs.toSorted((one, other) => one - other);
  report(
    `${what}: ${sorted.length} cancels, p50 ${median(sorted)} ms, p99 ${p99(sorted)} ms, most ${sorted.at(-1)} ms`,
  );
}

import { expect, test, vi } from 'vitest';
import { TASK_PRIORITIES } from '../../src/domain/task.ts';
import { runGraphql } from '../support/graphql-client.ts';
import type { StoredTask } from '../support/histories.ts';
import { breaches, type Ledger } from '../support/ledger.ts';
import { cancelTask, createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { setStage } from '../support/stage.ts';

test('300 tasks, created in every way, are completed by two workers, each exactly once', async () => {
  const { env, ledger, untilTaken } = await setStage();
  const [api] = await Promise.all([startApi({ env }), startWorker(env), startWorker(env)]);

  await untilTaken(2);
  const ids = await create300(api.url);
  await until(ledger, 300, 'COMPLETED');

  const tasks = await ledger.tasks();
  expect(new Set(tasks.map(({ id }) => id))).toEqual(new Set(ids));
  expect(breaches(tasks)).toEqual([]);
  expect(tasks.filter(({ attempt }) => attempt !== 1)).toEqual([]);
  const workers = new Set(tasks.map(({ history }) => history.at(-1)?.workerId));
  expect(workers.size).toBe(2);
}, 60_000);

test('HIGH and MEDIUM tasks flow while LOW ones block all slots of their own', async () => {
  const { env, ledger } = await setStage();
  const [{ url }] = await Promise.all([startApi({ env }), startWorker(env), startWorker(env)]);
  const blockers = await createMany(url, 8, { priority: 'LOW', payload: { durationMs: 600_000 } });
  await until(ledger, 2, 'IN_PROGRESS');

  const urgent = await createMany(url, 20, { priority: 'HIGH', payload: { durationMs: 20 } });
  const usual = await createMany(url, 20, { priority: 'MEDIUM', payload: { durationMs: 20 } });
  await until(ledger, 40, 'COMPLETED');
  for (const id of blockers) await cancelTask(url, id);
  const last = await createMany(url, 1, { priority: 'LOW', payload: { durationMs: 20 } });
  await until(ledger, 41, 'COMPLETED');

  const order = (await ledger.tasks()).sort(byFinish).map(({ id }) => id);
  expect(new Set(order.slice(0, 40))).toEqual(new Set([...urgent, ...usual]));
  expect(new Set(order.slice(40))).toEqual(new Set([...blockers, ...last]));
}, 60_000);

test('a task without a payload runs for 2, 5 or 10 s by its priority, one of each at once', async () => {
  const { env, ledger } = await setStage();
  const [{ url }] = await Promise.all([startApi({ env }), startWorker(env)]);

  for (const priority of TASK_PRIORITIES) await createTask(url, { priority });
  await until(ledger, 3, 'COMPLETED');

  const tasks = await ledger.tasks();
  for (const [priority, durationMs] of DURATIONS_MS) {
    const took = tookMs(tasks.find((task) => task.priority === priority));
    expect(took).toBeGreaterThanOrEqual(durationMs);
    expect(took).toBeLessThan(durationMs + TOLERANCE_MS);
  }
  // All at once: each began before the first one ended.
  const starts = tasks.map(({ startedAt }) => Number(startedAt));
  const ends = tasks.map(({ finishedAt }) => Number(finishedAt));
  expect(Math.max(...starts)).toBeLessThan(Math.min(...ends));
}, 30_000);

/** DESIGN 2.3. */
const DURATIONS_MS = [
  ['HIGH', 2_000],
  ['MEDIUM', 5_000],
  ['LOW', 10_000],
] as const;
/** For a busy machine: the claim, timers that fire late, and the settlement. */
const TOLERANCE_MS = 1_500;

function tookMs(task: StoredTask | undefined): number {
  return Number(task?.finishedAt) - Number(task?.startedAt);
}

/** A third each by REST, createTask and createTasks; a third each HIGH, MEDIUM and LOW. */
async function create300(url: string): Promise<string[]> {
  const inputs = Array.from({ length: 300 }, (_, index) => ({
    title: `Errand ${index}`,
    priority: TASK_PRIORITIES[Math.floor(index / 3) % 3],
    payload: { durationMs: index % 30 },
  }));
  const third = (rest: number) => inputs.filter((_, index) => index % 3 === rest);
  const byRest = Promise.all(third(0).map((input) => createTask(url, input)));
  const oneByOne = Promise.all(
    third(1).map(async (input) => {
      const query = 'mutation($input: CreateTaskInput!) { createTask(input: $input) { id } }';
      const variables = { input };
      return (await runGraphql<{ createTask: { id: string } }>(url, { query, variables }))
        .createTask;
    }),
  );
  const atOnce = runGraphql<{ createTasks: { id: string }[] }>(url, {
    query: 'mutation($input: [CreateTaskInput!]!) { createTasks(input: $input) { id } }',
    variables: { input: third(2) },
  });
  const created = [...(await byRest), ...(await oneByOne), ...(await atOnce).createTasks];
  return created.map(({ id }) => id);
}

async function createMany(
  url: string,
  count: number,
  input: Record<string, unknown>,
): Promise<string[]> {
  const created = await Promise.all(Array.from({ length: count }, () => createTask(url, input)));
  return created.map(({ id }) => id);
}

function until(
  ledger: Ledger,
  count: number,
  status: 'COMPLETED' | 'IN_PROGRESS',
): Promise<unknown> {
  return vi.waitFor(async () => expect(await ledger.count(status)).toBe(count), {
    timeout: 45_000,
    interval: 50,
  });
}

function byFinish(one: StoredTask, other: StoredTask): number {
  return Number(one.finishedAt) - Number(other.finishedAt);
}

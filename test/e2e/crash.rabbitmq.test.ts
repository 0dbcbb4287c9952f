import { expect, test, vi } from 'vitest';
import { startApi, startWorker } from '../support/service-process.ts';
import { breaches, type Ledger, type StoredTask } from './ledger.ts';
import { median, report } from './measure.ts';
import { cancelTask, createTask } from './rest.ts';
import { setStage } from './stage.ts';

test('tasks of a worker killed with -9 complete on the other one, on their second attempt', async () => {
  const { env, ledger, untilTaken } = await setStage();
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=6,MEDIUM=6,LOW=6' };
  const [{ url }, survivor] = await Promise.all([startApi({ env }), startWorker(roomy)]);
  const restartsMs: number[] = [];

  for (let round = 1; round <= 3; round += 1) {
    const victim = await startWorker(roomy);
    // RabbitMQ serves those who wait by turns: each worker gets one of two.
    await untilTaken(2);
    for (const priority of ['HIGH', 'MEDIUM', 'LOW', 'HIGH', 'MEDIUM', 'LOW']) {
      await createTask(url, { priority, payload: { durationMs: 2_000 } });
    }
    const held = await vi.waitFor(async () => {
      const running = (await ledger.tasks()).filter(({ status }) => status === 'IN_PROGRESS');
      expect(running).toHaveLength(6);
      return await heldBy(ledger, victim.pid, running);
    }, WAIT);
    expect(held).toHaveLength(3);
    const killedAt = await ledger.now();
    victim.kill('SIGKILL');
    await until(ledger, 6 * round, 'COMPLETED');

    for (const { id } of held) {
      const task = await ledger.task(id);
      expect(task.attempt).toBe(2);
      expect(outcomes(task)).toEqual(['WORKER_DIED', 'COMPLETED']);
      restartsMs.push(Number(task.startedAt) - Number(killedAt));
    }
  }

  expect(breaches(await ledger.tasks())).toEqual([]);
  report(`kill -9 to restart: median ${median(restartsMs)} ms, most ${Math.max(...restartsMs)} ms`);
  expect(Math.max(...restartsMs)).toBeLessThan(10_000);
  expect(survivor.isRunning).toBe(true);
}, 60_000);

test('a worker stopped until it counts as dead changes nothing when it wakes, and returns as another', async () => {
  const { env, ledger } = await setStage();
  const [{ url }, sleeper] = await Promise.all([startApi({ env }), startWorker(env)]);
  const { id } = await createTask(url, { payload: { durationMs: 1_000 } });
  await until(ledger, 1, 'IN_PROGRESS');
  const stoppedAt = await ledger.now();
  sleeper.kill('SIGSTOP');
  const [before] = await ledger.workers();

  const other = await startWorker(env);
  // While the other one runs the task, the sleeper wakes and finds its own run of it finished.
  await vi.waitFor(
    async () => expect(await ledger.task(id)).toMatchObject({ status: 'IN_PROGRESS', attempt: 2 }),
    { timeout: 30_000, interval: 10 },
  );
  sleeper.kill('SIGCONT');
  await until(ledger, 1, 'COMPLETED');

  const task = await ledger.task(id);
  expect(breaches([task])).toEqual([]);
  expect(outcomes(task)).toEqual(['WORKER_DIED', 'COMPLETED']);
  // Completed by the run of the other, which was not cut short.
  expect(Number(task.finishedAt) - Number(task.startedAt)).toBeGreaterThanOrEqual(1_000);
  expect(other.count('the claim was lost meanwhile')).toBe(0);
  for (const line of ['the claim was lost meanwhile', 'was declared dead'])
    await sleeper.said(line);
  await sleeper.said('worker registered', 2);
  const restartMs = Number(task.startedAt) - Number(stoppedAt);
  report(`SIGSTOP to restart: ${restartMs} ms`);
  expect(restartMs).toBeLessThan(20_000);
  const [, , after] = await ledger.workers();
  expect([before, after]).toMatchObject([{ pid: sleeper.pid }, { pid: sleeper.pid, alive: true }]);

  other.kill('SIGTERM');
  await other.exited;
  const next = await createTask(url, { payload: { durationMs: 20 } });
  await until(ledger, 2, 'COMPLETED');
  expect((await ledger.task(next.id)).history.at(-1)?.workerId).toBe(after?.id);
}, 60_000);

test('cancelling reaches the code that runs in a worker, so that its slot is free at once', async () => {
  const { env, ledger } = await setStage();
  const [{ url }] = await Promise.all([startApi({ env }), startWorker(env)]);
  const delaysMs: number[] = [];
  const cancelled: string[] = [];
  let running = await createTask(url, { payload: { durationMs: 600_000 } });
  for (let round = 1; round <= 7; round += 1) {
    await untilRunning(ledger, running.id);
    const next = await createTask(url, { payload: { durationMs: 600_000 } });
    expect(await cancelTask(url, running.id)).toMatchObject({ status: 'CANCELLED' });
    await untilRunning(ledger, next.id);
    const [last, first] = [await ledger.task(running.id), await ledger.task(next.id)];
    delaysMs.push(Number(first.startedAt) - Number(last.finishedAt));
    cancelled.push(running.id);
    running = next;
  }

  for (const id of cancelled) {
    const { status, history } = await ledger.task(id);
    expect(status).toBe('CANCELLED');
    expect(history.map((event) => event.status)).toEqual([
      'NEW',
      'PENDING',
      'IN_PROGRESS',
      'CANCELLED',
    ]);
  }
  report(`cancel to free slot: median ${median(delaysMs)} ms, most ${Math.max(...delaysMs)} ms`);
  // What the heartbeat alone finds out takes a second in this rhythm.
  expect(median(delaysMs)).toBeLessThan(500);
}, 40_000);

test('several API processes killed -9 while they create: every acknowledged task completes', async () => {
  const { env, ledger } = await setStage();
  const [one, two, three] = await Promise.all([
    startApi({ env }),
    startApi({ env }),
    startApi({ env }),
    startWorker(env),
    startWorker(env),
  ]);
  const acknowledged: string[] = [];
  await Promise.all(
    [one, two, three].map(async (api, index) => {
      const killAfter = 20 + 15 * index;
      let acknowledgedHere = 0;
      async function createUntilKilled(): Promise<void> {
        while (api.isRunning) {
          const task = await createTask(api.url, { payload: { durationMs: 5 } }).catch(() => null);
          if (task === null) return;
          acknowledged.push(task.id);
          acknowledgedHere += 1;
          if (acknowledgedHere === killAfter) api.kill('SIGKILL');
        }
      }
      // Several requests are always under way, so that the kill hits some of them in the middle.
      await Promise.all([1, 2, 3, 4, 5, 6].map(createUntilKilled));
      expect(await api.exited).toMatchObject({ signal: 'SIGKILL' });
    }),
  );
  expect(acknowledged.length).toBeGreaterThanOrEqual(105);

  const tasks = await vi.waitFor(async () => {
    const all = await ledger.tasks();
    expect(all.filter(({ status }) => status !== 'COMPLETED')).toEqual([]);
    return all;
  }, WAIT);
  const stored = new Set(tasks.map(({ id }) => id));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  expect(breaches(tasks)).toEqual([]);
}, 60_000);

const WAIT = { timeout: 30_000, interval: 20 };

function until(
  ledger: Ledger,
  count: number,
  status: 'COMPLETED' | 'IN_PROGRESS',
): Promise<unknown> {
  return vi.waitFor(async () => expect(await ledger.count(status)).toBe(count), WAIT);
}

function untilRunning(ledger: Ledger, id: string): Promise<unknown> {
  return vi.waitFor(async () => expect((await ledger.task(id)).status).toBe('IN_PROGRESS'), WAIT);
}

/** Those of the tasks that the worker of this process holds. */
async function heldBy(ledger: Ledger, pid: number, tasks: StoredTask[]): Promise<StoredTask[]> {
  const worker = (await ledger.workers()).find((one) => one.pid === pid && one.alive);
  return tasks.filter(({ workerId }) => workerId === worker?.id);
}

/** How each run of the task ended. */
function outcomes({ history }: StoredTask): string[] {
  return history.flatMap(({ outcome }) => (outcome === null ? [] : [outcome]));
}

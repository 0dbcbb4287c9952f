import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { createByRest } from '../support/client.ts';
import { contractBreaches, type StoredTask } from '../support/histories.ts';
import { breaches, type Ledger } from '../support/ledger.ts';
import { median, report } from '../support/measure.ts';
import { cancelTask, createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { type Stage, setStage } from '../support/stage.ts';
import { scaled } from './scale.ts';

test('tasks of a worker killed with -9 run on another one within seconds, as their second attempt', async () => {
  const { env, ledger } = await setStage();
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=10,MEDIUM=1,LOW=1' };
  const { url } = await startApi({ env });
  const restartsMs: number[] = [];
  const rounds = scaled(2, 20);

  let victim = await startWorker(roomy);
  for (let round = 1; round <= rounds; round += 1) {
    // In the last round they are left to complete; before that they only have to be running.
    const payload = { durationMs: round === rounds ? 15_000 : 600_000 };
    const creating = Array.from({ length: 10 }, () =>
      createTask(url, { priority: 'HIGH', payload }),
    );
    const ids = (await Promise.all(creating)).map(({ id }) => id);
    await until(ledger, 10, 'IN_PROGRESS');
    const heir = await startWorker(roomy);
    const killedAt = await ledger.now();
    victim.kill('SIGKILL');
    const restarted = await vi.waitFor(async () => {
      const tasks = await Promise.all(ids.map(ledger.task));
      for (const task of tasks) expect(task).toMatchObject({ status: 'IN_PROGRESS', attempt: 2 });
      return tasks;
    }, WAIT);
    restartsMs.push(...restarted.map(({ startedAt }) => Number(startedAt) - Number(killedAt)));
    if (round < rounds) await Promise.all(ids.map((id) => cancelTask(url, id)));
    else await until(ledger, 10, 'COMPLETED');
    for (const task of await Promise.all(ids.map(ledger.task))) {
      expect(outcomes(task)).toEqual(['WORKER_DIED', round < rounds ? 'CANCELLED' : 'COMPLETED']);
      expect(contractBreaches(task)).toEqual([]);
    }
    victim = heir;
  }

  report(
    `kill -9 to restart, ${rounds} workers with 10 tasks: median ${median(restartsMs)} ms, most ${Math.max(...restartsMs)} ms`,
  );
  // On a machine that has nothing else to do it is 5 s at most.
  expect(median(restartsMs)).toBeLessThan(5_000);
  expect(Math.max(...restartsMs)).toBeLessThan(10_000);
}, 240_000);

test('a worker stopped until it counts as dead changes nothing when it wakes, and returns as another', async () => {
  const { env, ledger } = await setStage();
  const { url, sleeper, other, task: before } = await stopAmidTask({ env, ledger });

  // While the other one runs the task, the sleeper wakes and finds its own run of it finished.
  await vi.waitFor(
    async () =>
      expect(await ledger.task(before.id)).toMatchObject({ status: 'IN_PROGRESS', attempt: 2 }),
    WAIT,
  );
  sleeper.kill('SIGCONT');
  await until(ledger, 2, 'COMPLETED');

  const task = await ledger.task(before.id);
  expect(breaches([task])).toEqual([]);
  expect(outcomes(task)).toEqual(['WORKER_DIED', 'COMPLETED']);
  // Completed by the run of the other, which was not cut short.
  expect(Number(task.finishedAt) - Number(task.startedAt)).toBeGreaterThanOrEqual(1_000);
  expect(other.count('the claim was lost meanwhile')).toBe(0);
  for (const line of ['the claim was lost meanwhile', 'was declared dead'])
    await sleeper.said(line);
  await sleeper.said('worker registered', 2);
  const mine = (await ledger.workers()).filter(({ pid }) => pid === sleeper.pid);
  expect(mine).toMatchObject([{ id: before.workerId, alive: false }, { alive: true }]);

  other.kill('SIGTERM');
  await other.exited;
  const next = await createTask(url, { priority: 'HIGH', payload: { durationMs: 20 } });
  await until(ledger, 3, 'COMPLETED');
  expect((await ledger.task(next.id)).history.at(-1)?.workerId).toBe(mine[1]?.id);
}, 60_000);

test('a worker that wakes after others have done its task changes no row', async () => {
  const { env, ledger } = await setStage();
  const { sleeper, stoppedAt, task } = await stopAmidTask({ env, ledger });
  await until(ledger, 2, 'COMPLETED');
  const restartMs = Number((await ledger.task(task.id)).startedAt) - Number(stoppedAt);
  expect(restartMs).toBeLessThan(20_000);
  const sleepMs = scaled(0, 60_000);
  await vi.waitFor(
    async () => expect(Number(await ledger.now()) - Number(stoppedAt)).toBeGreaterThan(sleepMs),
    { timeout: 70_000, interval: 200 },
  );

  const before = await rowVersions(ledger);
  sleeper.kill('SIGCONT');
  await sleeper.said('the claim was lost meanwhile');
  await sleeper.said('worker registered', 2);
  expect(await rowVersions(ledger)).toEqual(before);
  const length = sleepMs > 0 ? ` for ${sleepMs / 1_000} s` : '';
  report(`SIGSTOP${length}: restarted after ${restartMs} ms, 0 rows changed by the sleeper`);
}, 120_000);

test('API processes killed -9 at random while tasks are created: every acknowledged task completes', async () => {
  const { env, ledger } = await setStage();
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=1,MEDIUM=100,LOW=1' };
  const apis = await Promise.all([startApi({ env }), startApi({ env })]);
  await startWorker(roomy);
  const wanted = scaled(250, 5_000);
  const wantedKills = scaled(4, 80);
  const acknowledged: string[] = [];
  let kills = 0;
  let unanswered = 0;
  const enough = () => acknowledged.length >= wanted && kills >= wantedKills;

  // Several requests are always under way at each, so that a kill hits some of them in the middle.
  async function createAt(index: number): Promise<void> {
    while (!enough()) {
      const url = apis[index]?.url ?? '';
      const input = { title: 'an errand', priority: 'MEDIUM' as const, payload: { durationMs: 5 } };
      const answer = await createByRest(url, input);
      if ('got' in answer) acknowledged.push(...answer.got);
      else unanswered += 1;
      await sleep('got' in answer ? 10 : 50);
    }
  }

  async function killAt(index: number): Promise<void> {
    while (!enough()) {
      await sleep(200 + Math.random() * 1_500);
      const api = apis[index];
      if (api === undefined || enough()) return;
      api.kill('SIGKILL');
      expect(await api.exited).toMatchObject({ signal: 'SIGKILL' });
      kills += 1;
      apis[index] = await startApi({ env });
    }
  }

  const everywhere = apis.map((_api, index) => index);
  await Promise.all([
    ...everywhere.map(killAt),
    ...everywhere.flatMap((index) => Array.from({ length: 8 }, () => createAt(index))),
  ]);
  const tasks = await vi.waitFor(async () => {
    const all = await ledger.tasks();
    expect(all.filter(({ status }) => status !== 'COMPLETED')).toHaveLength(0);
    return all;
  }, LONG_WAIT);
  const stored = new Set(tasks.map(({ id }) => id));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  expect(breaches(tasks)).toEqual([]);
  report(
    `${kills} kills of API processes, ${acknowledged.length} acknowledged, ${unanswered} without an answer, ` +
      `${tasks.length} stored and completed`,
  );
}, 240_000);

const WAIT = { timeout: 30_000, interval: 20 };
const LONG_WAIT = { timeout: 60_000, interval: 200 };

function until(
  ledger: Ledger,
  count: number,
  status: 'COMPLETED' | 'IN_PROGRESS',
): Promise<unknown> {
  return vi.waitFor(async () => expect(await ledger.count(status)).toBe(count), WAIT);
}

/** What PostgreSQL changes with each change of a row, for all rows that a worker may write to. */
async function rowVersions({ sql }: Ledger): Promise<unknown[]> {
  const { rows } = await sql.query(
    `select id, xmin::text, ctid::text from tasks
    union all select task_id, xmin::text, ctid::text from task_events order by 1, 2, 3`,
  );
  return rows;
}

/** Stops one of two workers, each of which runs a task. @returns the one that was stopped, and its task */
async function stopAmidTask({ env, ledger }: Pick<Stage, 'env' | 'ledger'>) {
  const [{ url }, sleeper, other] = await Promise.all([
    startApi({ env }),
    startWorker(env),
    startWorker(env),
  ]);
  for (const priority of ['HIGH', 'HIGH']) {
    await createTask(url, { priority, payload: { durationMs: 3_000 } });
  }
  await until(ledger, 2, 'IN_PROGRESS');
  const stoppedAt = await ledger.now();
  sleeper.kill('SIGSTOP');
  const mine = (await ledger.workers()).find(({ pid }) => pid === sleeper.pid);
  const task = (await ledger.tasks()).find(({ workerId }) => workerId === mine?.id);
  if (task === undefined) throw new Error('The worker that was stopped ran nothing.');
  return { url, sleeper, other, task, stoppedAt };
}

/** How each run of the task ended. */
function outcomes({ history }: StoredTask): string[] {
  return history.flatMap(({ outcome }) => (outcome === null ? [] : [outcome]));
}

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect, test, vi } from 'vitest';
import { report } from '../support/measure.ts';
import { createTask, request } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';
import { scaled } from './scale.ts';

/** Where the system lists what a process has open; Linux only. */
const DESCRIPTORS = (pid: number | 'self') => `/proc/${pid}/fd`;

test.runIf(existsSync(DESCRIPTORS('self')))(
  'many outages later a process holds no more open than before',
  async () => {
    const { env, ledger } = await setStage();
    const [postgres, rabbit] = [await setLink(env.DATABASE_URL), await setLink(env.RABBITMQ_URL)];
    const cut = { DATABASE_URL: postgres.url, RABBITMQ_URL: rabbit.url };
    const [api, worker] = await Promise.all([startApi({ env: cut }), startWorker(cut)]);
    let created = 0;

    async function outage(round: number): Promise<void> {
      // By turns broken off, refused, and silent for longer than a confirmation may take.
      for (const link of [postgres, rabbit]) {
        if (round % 3 === 0) link.cut();
        if (round % 3 === 1) await link.refuse();
        if (round % 3 === 2) link.stall();
      }
      // Something that fails, or waits, on each of its connections.
      await Promise.allSettled(
        // Connections of their own, so that none of them is kept by this process.
        Array.from({ length: 30 }, () =>
          fetch(`${api.url}/api/v1/tasks/`, { headers: { connection: 'close' } }),
        ),
      );
      for (const link of [postgres, rabbit]) await link.heal();
      await vi.waitFor(async () => {
        expect((await request(api.url, 'GET', '/health')).body.status).toBe(true);
      }, WAIT);
      // A connection that broke just now may cost one more answer, of a task that is stored all the same.
      await vi.waitFor(() => createTask(api.url, { payload: { durationMs: 0 } }), WAIT);
      created += 1;
      await vi.waitFor(async () => {
        const tasks = await ledger.tasks();
        expect(tasks.length).toBeGreaterThanOrEqual(created);
        expect(tasks.filter(({ status }) => status !== 'COMPLETED')).toEqual([]);
      }, WAIT);
    }

    function counts(): Promise<number[]> {
      const open = [api, worker].map(async ({ pid }) => (await readdir(DESCRIPTORS(pid))).length);
      return Promise.all(open);
    }

    for (let round = 0; round < 3; round += 1) await outage(round);
    const before = await counts();
    const rounds = scaled(6, 30);
    for (let round = 0; round < rounds; round += 1) await outage(round);
    // Connections that the pool does not need are closed after ten seconds.
    const after = await vi.waitFor(async () => {
      const now = await counts();
      for (const [index, count] of now.entries()) {
        expect(count).toBeLessThanOrEqual((before[index] ?? 0) + 3);
      }
      return now;
    }, WAIT);
    report(`${rounds} outages: API and worker hold ${before} descriptors before, ${after} after`);
    expect([api.isRunning, worker.isRunning]).toEqual([true, true]);
  },
  scaled(120_000, 600_000),
);

const WAIT = { timeout: 30_000, interval: 50 };

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import { breaches } from '../support/ledger.ts';
import { report } from '../support/measure.ts';
import { type ServiceProcess, startApi, startWorker } from '../support/service-process.ts';
import { setStage } from '../support/stage.ts';
import { startSteadyLoad } from '../support/steady-load.ts';
import { scaled } from './scale.ts';

const ROUNDS = scaled(1, 2);

test('a rolling restart under load loses nothing, uses up no attempt, and shows to no client', async () => {
  const { env, ledger } = await setStage();
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=20,MEDIUM=20,LOW=20' };
  const ports = [await freePort(), await freePort()];
  const members: Member[] = [
    ...ports.map((port) => ({
      url: `http://127.0.0.1:${port}`,
      start: () => startApi({ env: { ...env, PORT: String(port) } }),
    })),
    { start: () => startWorker(roomy) },
    { start: () => startWorker(roomy) },
  ];
  const running = await Promise.all(members.map(({ start }) => start()));
  const load = startSteadyLoad({
    urls: members.flatMap(({ url }) => url ?? []),
    perSecond: 100,
    // Now and then one that outlives the grace period of the worker that runs it.
    order: (count) => ({
      title: `task ${count}`,
      priority: PRIORITIES[count % 3] ?? 'LOW',
      payload: { durationMs: count % 100 === 0 ? 8_000 : 50 },
    }),
  });
  const restarts: { url: string | undefined; from: Date; to: Date }[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [index, { url, start }] of members.entries()) {
      const from = new Date();
      await leave(running[index]);
      running[index] = await start();
      restarts.push({ url, from, to: new Date() });
    }
  }
  await load.stop();
  await vi.waitFor(
    async () => expect(await ledger.count('COMPLETED')).toBe(load.acknowledged.length),
    { timeout: 30_000, interval: 100 },
  );

  const atRestart = load.failures.filter(({ url, askedAt, at }) =>
    restarts.some((one) => one.url === url && one.from <= at && askedAt <= one.to),
  );
  expect(load.failures.filter((failure) => !atRestart.includes(failure))).toEqual([]);
  // Between the last look at who waits to be accepted and the closing of the port the process may lose its processor;
  // who connects just then is reset. That it was not taken up is what counts: it may be sent again without a second thought.
  const reset = atRestart.filter(({ error }) => error !== 'ECONNREFUSED');
  expect(reset.filter(({ error }) => error !== 'ECONNRESET')).toEqual([]);
  const tasks = await ledger.tasks();
  const stored = new Set(tasks.map(({ id }) => id));
  expect(load.acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  const titles = new Set(
    (await ledger.sql.query('select title from tasks')).rows.map(({ title }) => title),
  );
  expect(reset.filter(({ title }) => titles.has(title))).toEqual([]);
  expect(breaches(tasks)).toEqual([]);
  expect(tasks.filter(({ attempt }) => attempt !== 1)).toEqual([]);
  const given = tasks.filter(({ history }) =>
    history.some(({ outcome }) => outcome === 'RELEASED'),
  );
  expect(given.length).toBeGreaterThan(0);
  report(
    `${restarts.length} restarts under 100 tasks/s: ${tasks.length} tasks, ${given.length} given back, ` +
      `${load.failures.length} connections refused, ${reset.length} of them reset`,
  );
}, 180_000);

interface Member {
  url?: string;
  start: () => Promise<ServiceProcess>;
}

const PRIORITIES = ['HIGH', 'MEDIUM', 'LOW'] as const;

async function leave(process: ServiceProcess | undefined): Promise<void> {
  process?.kill('SIGTERM');
  expect(await process?.exited).toEqual({ code: 0, signal: null });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

import { expect, test, vi } from 'vitest';
import { subscribeBySse, subscribeByWebSocket } from '../support/graphql-client.ts';
import { breaches, type Ledger } from '../support/ledger.ts';
import { cancelTask, createTask, request } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';

test('a worker that gets SIGTERM finishes what it can, gives back the rest unused, and exits 0', async () => {
  const { env, ledger } = await setStage();
  const [{ url }, worker] = await Promise.all([
    startApi({ env }),
    startWorker({ ...env, SHUTDOWN_GRACE_SECONDS: '2' }),
  ]);
  const short = await createTask(url, { priority: 'HIGH', payload: { durationMs: 1_000 } });
  const long = await createTask(url, { priority: 'LOW', payload: { durationMs: 600_000 } });
  for (const { id } of [short, long]) await untilStatus(ledger, id, 'IN_PROGRESS');
  worker.kill('SIGTERM');

  expect(await worker.exited).toEqual({ code: 0, signal: null });
  expect(await ledger.task(short.id)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  const given = await ledger.task(long.id);
  expect(given).toMatchObject({ attempt: 0, workerId: null });
  // The way out is long enough to put it into the queue again, for whoever comes next.
  expect(given.status).toBeOneOf(['NEW', 'PENDING']);
  expect(given.history[3]).toMatchObject({ status: 'NEW', attempt: 0, outcome: 'RELEASED' });
  expect((await ledger.workers()).map(({ alive }) => alive)).toEqual([false]);

  await startWorker(env);
  await untilStatus(ledger, long.id, 'IN_PROGRESS');
  expect((await ledger.task(long.id)).attempt).toBe(1);
  await cancelTask(url, long.id);
  expect(breaches([await ledger.task(short.id)])).toEqual([]);
});

test('a worker that gets SIGTERM while PostgreSQL is away gives its task back unused once it returns', async () => {
  const { env, ledger } = await setStage();
  const postgres = await setLink(env.DATABASE_URL);
  const [{ url }, worker] = await Promise.all([
    startApi({ env }),
    startWorker({ ...env, DATABASE_URL: postgres.url, SHUTDOWN_GRACE_SECONDS: '0' }),
  ]);
  const { id } = await createTask(url, { payload: { durationMs: 600_000 } });
  await untilStatus(ledger, id, 'IN_PROGRESS');
  await postgres.refuse();
  worker.kill('SIGTERM');
  await worker.said('could not settle yet', 2);
  await postgres.heal();

  expect(await worker.exited).toEqual({ code: 0, signal: null });
  const { attempt, history } = await ledger.task(id);
  expect(attempt).toBe(0);
  expect(history[3]).toMatchObject({ status: 'NEW', attempt: 0, outcome: 'RELEASED' });
  expect((await ledger.workers()).map(({ alive }) => alive)).toEqual([false]);
});

test('an API that gets SIGTERM closes WebSockets with 1001, cuts SSE, and exits 0', async () => {
  const { env } = await setStage();
  const api = await startApi({ env });
  const { id } = await createTask(api.url, {});
  const operation = { query: `subscription { taskStatusChanged(id: "${id}") { version } }` };
  const { stream, closed } = subscribeByWebSocket(api.url, operation);
  const sse = await subscribeBySse(api.url, operation);
  await Promise.all([stream.next(), sse.next()]);

  const ends = Promise.allSettled([stream.next(), sse.next()]);
  api.kill('SIGTERM');
  // Broken off, not completed: a client has to see that there is more to come, and where to resume.
  expect(await ends).toMatchObject([
    { status: 'rejected', reason: { code: 1001 } },
    { status: 'rejected' },
  ]);
  expect(await closed).toBe(1001);
  expect(await api.exited).toEqual({ code: 0, signal: null });
});

test('an API that gets SIGTERM says that it is not ready, serves on for a while, and is then gone', async () => {
  const { env } = await setStage();
  const { url, kill, exited } = await startApi({ env });
  kill('SIGTERM');
  await vi.waitFor(async () => {
    const answer = await request(url, 'GET', '/health/ready');
    expect(answer).toMatchObject({ status: 503, body: { ready: false, draining: true } });
  });
  // Somebody who has not noticed yet.
  expect((await createTask(url, {})).status).toBe('PENDING');
  expect(await exited).toEqual({ code: 0, signal: null });
  await expect(request(url, 'GET', '/health/live')).rejects.toThrow();
});

test('on Ctrl-C an API is gone at once', async () => {
  const { env } = await setStage();
  const { kill, exited } = await startApi({ env });
  const before = performance.now();
  kill('SIGINT');
  expect(await exited).toEqual({ code: 0, signal: null });
  // With notice it would be five seconds.
  expect(performance.now() - before).toBeLessThan(3_000);
});

test('a second SIGINT ends a worker at once, however long its grace period is', async () => {
  const { env, ledger } = await setStage();
  const [{ url }, worker] = await Promise.all([
    startApi({ env }),
    startWorker({ ...env, SHUTDOWN_GRACE_SECONDS: '3600' }),
  ]);
  const { id } = await createTask(url, { payload: { durationMs: 600_000 } });
  await untilStatus(ledger, id, 'IN_PROGRESS');

  worker.kill('SIGINT');
  await worker.said('SIGINT: finishes what runs and stops');
  worker.kill('SIGINT');
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect((await ledger.task(id)).status).toBe('IN_PROGRESS');
});

function untilStatus(ledger: Ledger, id: string, status: string): Promise<unknown> {
  return vi.waitFor(async () => expect((await ledger.task(id)).status).toBe(status), {
    timeout: 15_000,
    interval: 20,
  });
}

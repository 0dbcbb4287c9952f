import { expect, test, vi } from 'vitest';
import { askGraphql } from '../support/graphql-client.ts';
import { type ServiceProcess, startApi, startWorker } from '../support/service-process.ts';
import { breaches } from './ledger.ts';
import { report } from './measure.ts';
import { type Answer, createTask, request } from './rest.ts';
import { makeFallible, setStage } from './stage.ts';

test('RabbitMQ away: tasks are taken in as NEW, and go out within 5 s of its return', async () => {
  const { env, ledger } = await setStage();
  const rabbit = await makeFallible(env.RABBITMQ_URL);
  const cut = { ...env, RABBITMQ_URL: rabbit.url };
  const [api, worker] = await Promise.all([startApi({ env: cut }), startWorker(cut)]);
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });

  await rabbit.goAway();
  const created = await Promise.all(
    Array.from({ length: 50 }, () => createTask(api.url, { payload: { durationMs: 20 } })),
  );
  expect(new Set(created.map(({ status }) => status))).toEqual(new Set(['NEW']));
  await healthOf(api.url, { database: true, rabbitmq: false, status: false });
  expect(await ledger.count('NEW')).toBe(50);

  const backAt = await ledger.now();
  await rabbit.comeBack();
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(50), WAIT);

  const tasks = await ledger.tasks();
  expect(breaches(tasks)).toEqual([]);
  const sentAt = tasks.flatMap(({ history }) =>
    history.filter(({ status }) => status === 'PENDING').map(({ at }) => Date.parse(at)),
  );
  const lastSentMs = Math.max(...sentAt) - Number(backAt);
  report(`the last of 50 tasks went out ${lastSentMs} ms after RabbitMQ came back`);
  expect(lastSentMs).toBeLessThan(5_000);
  expectRunning(api, worker);
}, 40_000);

test('RabbitMQ silent: creating waits for it a moment, then answers NEW; nothing runs twice later', async () => {
  const { env, ledger } = await setStage();
  const rabbit = await makeFallible(env.RABBITMQ_URL);
  const [api] = await Promise.all([
    startApi({ env: { ...env, RABBITMQ_URL: rabbit.url } }),
    startWorker(env),
  ]);

  rabbit.fallSilent();
  const creating = Array.from({ length: 10 }, () =>
    createTask(api.url, { payload: { durationMs: 20 } }),
  );
  const created = await inTime(10_000, Promise.all(creating));
  expect(new Set(created.map(({ status }) => status))).toEqual(new Set(['NEW']));
  // The worker reaches RabbitMQ, so its dispatcher sends them; what was held back on the way arrives besides.
  rabbit.speak();
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(10), WAIT);

  const tasks = await ledger.tasks();
  expect(breaches(tasks)).toEqual([]);
  expect(tasks.filter(({ attempt }) => attempt !== 1)).toEqual([]);
}, 40_000);

test('PostgreSQL away: a clear 503 within 2 s, health says so, and all is well when it is back', async () => {
  const { env } = await setStage();
  const postgres = await makeFallible(env.DATABASE_URL);
  const cut = { ...env, DATABASE_URL: postgres.url };
  const [api, worker] = await Promise.all([startApi({ env: cut }), startWorker(cut)]);
  const { id } = await createTask(api.url, { payload: { durationMs: 20 } });

  await postgres.goAway();
  const answers = [
    await inTime(2_000, request(api.url, 'POST', '/api/v1/tasks/', { title: 'too bad' })),
    await inTime(2_000, request(api.url, 'GET', '/api/v1/tasks/')),
    await inTime(2_000, request(api.url, 'GET', `/api/v1/tasks/${id}`)),
    await inTime(2_000, request(api.url, 'DELETE', `/api/v1/tasks/${id}`)),
  ];
  for (const answer of answers) expect(answer).toEqual(UNAVAILABLE);
  const query = 'mutation { createTask(input: { title: "too bad" }) { id } }';
  const { errors } = await inTime(2_000, askGraphql(api.url, { query }));
  expect(errors).toMatchObject([{ extensions: { code: 'SERVICE_UNAVAILABLE' } }]);
  await healthOf(api.url, { database: false, rabbitmq: true, status: false });
  expect(await request(api.url, 'GET', '/health/ready')).toMatchObject({ status: 503 });
  expect(await request(api.url, 'GET', '/health/live')).toMatchObject({ status: 200 });

  await postgres.comeBack();
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });
  const again = await createTask(api.url, { payload: { durationMs: 20 } });
  await vi.waitFor(async () => {
    const { body } = await request(api.url, 'GET', `/api/v1/tasks/${again.id}/status`);
    expect(body).toEqual({ id: again.id, status: 'COMPLETED' });
  }, WAIT);
  expectRunning(api, worker);
}, 40_000);

test('PostgreSQL away in the middle of tasks: they complete when it is back, on their first attempt', async () => {
  const { env, ledger, untilTaken } = await setStage();
  const postgres = await makeFallible(env.DATABASE_URL);
  const cut = { ...env, DATABASE_URL: postgres.url };
  const [api, ...workers] = await Promise.all([
    startApi({ env: cut }),
    startWorker(cut),
    startWorker(cut),
  ]);
  await untilTaken(2);
  for (const priority of ['HIGH', 'HIGH', 'MEDIUM', 'MEDIUM', 'LOW', 'LOW']) {
    await createTask(api.url, { priority, payload: { durationMs: 1_500 } });
  }
  await vi.waitFor(async () => expect(await ledger.count('IN_PROGRESS')).toBe(6), WAIT);

  await postgres.goAway();
  // As long as a worker that is cut off may be silent, and longer: each of its three runs tries twice a second.
  await Promise.all(workers.map((worker) => worker.said('could not settle', 24)));
  expect(await ledger.count('IN_PROGRESS')).toBe(6);
  await postgres.comeBack();
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(6), WAIT);

  const tasks = await ledger.tasks();
  expect(breaches(tasks)).toEqual([]);
  expect(tasks.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1, 1]);
  expectRunning(api, ...workers);
}, 40_000);

const WAIT = { timeout: 20_000, interval: 50 };

const UNAVAILABLE: Answer = {
  status: 503,
  contentType: expect.stringContaining('application/problem+json'),
  body: expect.objectContaining({ status: 503, detail: expect.any(String) }),
};

/** Waits until `/health` says so; it answers 200 all the while. */
async function healthOf(url: string, expected: Record<string, boolean>): Promise<void> {
  await vi.waitFor(async () => {
    const { status, body } = await request(url, 'GET', '/health');
    expect(body).toEqual(expected);
    expect(status).toBe(200);
  }, WAIT);
}

async function inTime<T>(limitMs: number, answer: Promise<T>): Promise<T> {
  const before = performance.now();
  const result = await answer;
  expect(performance.now() - before).toBeLessThan(limitMs);
  return result;
}

function expectRunning(...processes: ServiceProcess[]): void {
  for (const { isRunning } of processes) expect(isRunning).toBe(true);
}

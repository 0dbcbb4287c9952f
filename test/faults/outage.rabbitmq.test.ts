import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { askGraphql } from '../support/graphql-client.ts';
import { breaches } from '../support/ledger.ts';
import { report } from '../support/measure.ts';
import { type Answer, createTask, request } from '../support/rest-calls.ts';
import { type ServiceProcess, startApi, startWorker } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';

test('RabbitMQ away: tasks are taken in as NEW, and go out within 5 s of its return', async () => {
  const { env, ledger } = await setStage();
  const rabbit = await setLink(env.RABBITMQ_URL);
  const cut = { ...env, RABBITMQ_URL: rabbit.url };
  const [api, worker] = await Promise.all([startApi({ env: cut }), startWorker(cut)]);
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });

  await rabbit.refuse();
  const created = await Promise.all(
    Array.from({ length: 50 }, () => createTask(api.url, { payload: { durationMs: 20 } })),
  );
  expect(new Set(created.map(({ status }) => status))).toEqual(new Set(['NEW']));
  await healthOf(api.url, { database: true, rabbitmq: false, status: false });
  expect(await ledger.count('NEW')).toBe(50);

  const backAt = await ledger.now();
  await rabbit.heal();
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
  const rabbit = await setLink(env.RABBITMQ_URL);
  const [api] = await Promise.all([
    startApi({ env: { ...env, RABBITMQ_URL: rabbit.url } }),
    startWorker(env),
  ]);

  rabbit.stall();
  const creating = Array.from({ length: 10 }, () =>
    createTask(api.url, { payload: { durationMs: 20 } }),
  );
  const created = await inTime(10_000, Promise.all(creating));
  expect(new Set(created.map(({ status }) => status))).toEqual(new Set(['NEW']));
  // The worker reaches RabbitMQ, so its dispatcher sends them; what was held back on the way arrives besides.
  await rabbit.heal();
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(10), WAIT);

  const tasks = await ledger.tasks();
  expect(breaches(tasks)).toEqual([]);
  expect(tasks.filter(({ attempt }) => attempt !== 1)).toEqual([]);
}, 40_000);

test('PostgreSQL away: a clear 503 within 2 s, health says so, and all is well when it is back', async () => {
  const { env } = await setStage();
  const postgres = await setLink(env.DATABASE_URL);
  const cut = { ...env, DATABASE_URL: postgres.url };
  const [api, worker] = await Promise.all([startApi({ env: cut }), startWorker(cut)]);
  const { id } = await createTask(api.url, { payload: { durationMs: 20 } });

  await postgres.refuse();
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

  await postgres.heal();
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });
  const again = await createTask(api.url, { payload: { durationMs: 20 } });
  await vi.waitFor(async () => {
    const { body } = await request(api.url, 'GET', `/api/v1/tasks/${again.id}/status`);
    expect(body).toEqual({ id: again.id, status: 'COMPLETED' });
  }, WAIT);
  expectRunning(api, worker);
}, 40_000);

test('PostgreSQL silent: every request is answered within 10 s, however many wait, and all is well later', async () => {
  const { env, ledger } = await setStage();
  const postgres = await setLink(env.DATABASE_URL);
  const [api] = await Promise.all([
    startApi({ env: { ...env, DATABASE_URL: postgres.url } }),
    startWorker(env),
  ]);
  const { id } = await createTask(api.url, { payload: { durationMs: 20 } });
  postgres.stall();
  const asked: Promise<{ tookMs: number; answer: Answer }>[] = [];
  // For longer than one of them may take: those that come later wait behind those that came before.
  for (let round = 0; round < 24; round += 1) {
    const paths = ['/api/v1/tasks/', `/api/v1/tasks/${id}`];
    asked.push(...paths.map((path) => timed(request(api.url, 'GET', path))));
    for (let count = 0; count < 5; count += 1) {
      asked.push(timed(request(api.url, 'POST', '/api/v1/tasks/', { title: 'silence' })));
    }
    await sleep(500);
  }
  const answers = await Promise.all(asked);
  for (const { answer } of answers) expect(answer).toEqual(UNAVAILABLE);
  const slowestMs = Math.max(...answers.map(({ tookMs }) => tookMs));
  report(`PostgreSQL silent: slowest of ${answers.length} answers after ${slowestMs.toFixed()} ms`);
  expect(slowestMs).toBeLessThan(10_000);

  await postgres.heal();
  await healthOf(api.url, { database: true, rabbitmq: true, status: true });
  await createTask(api.url, { payload: { durationMs: 20 } });
  await vi.waitFor(async () => {
    const tasks = await ledger.tasks();
    expect(tasks.length).toBeGreaterThanOrEqual(2);
    // The server may have got what its client had given up by then; then it is a task like any other.
    expect(tasks.filter(({ status }) => status !== 'COMPLETED')).toEqual([]);
  }, WAIT);
  expect(breaches(await ledger.tasks())).toEqual([]);
  expectRunning(api);
}, 60_000);

test('every connection taken by statements that wait for a lock: a 503 within 10 s, then recovery', async () => {
  const { env, ledger } = await setStage();
  const [api] = await Promise.all([startApi({ env }), startWorker(env)]);
  const lock = await ledger.sql.connect();
  await lock.query('begin');
  await lock.query('lock table tasks in access exclusive mode');
  // More than there are connections in the pool.
  const asked = Array.from({ length: 60 }, () => timed(request(api.url, 'GET', '/api/v1/tasks/')));
  const answers = await Promise.all(asked);
  await lock.query('rollback');
  lock.release();
  for (const { answer, tookMs } of answers) {
    expect(answer).toEqual(UNAVAILABLE);
    expect(tookMs).toBeLessThan(10_000);
  }
  await createTask(api.url, { payload: { durationMs: 20 } });
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(1), WAIT);
  expectRunning(api);
}, 40_000);

test('PostgreSQL away in the middle of tasks: they complete when it is back, on their first attempt', async () => {
  const { env, ledger, untilTaken } = await setStage();
  const postgres = await setLink(env.DATABASE_URL);
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

  await postgres.refuse();
  // As long as a worker that is cut off may be silent, and longer: each of its three runs tries twice a second.
  await Promise.all(workers.map((worker) => worker.said('could not settle', 24)));
  expect(await ledger.count('IN_PROGRESS')).toBe(6);
  await postgres.heal();
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

async function timed<T>(answering: Promise<T>): Promise<{ tookMs: number; answer: T }> {
  const before = performance.now();
  const answer = await answering;
  return { tookMs: performance.now() - before, answer };
}

async function inTime<T>(limitMs: number, answering: Promise<T>): Promise<T> {
  const { tookMs, answer } = await timed(answering);
  expect(tookMs).toBeLessThan(limitMs);
  return answer;
}

function expectRunning(...processes: ServiceProcess[]): void {
  for (const { isRunning } of processes) expect(isRunning).toBe(true);
}

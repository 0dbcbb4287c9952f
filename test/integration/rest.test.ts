import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { taskJson } from '../../src/rest/task-json.ts';
import { openDatabase } from '../../src/store/database.ts';
import { createAdvance } from '../../src/tasks/advance.ts';
import { createTaskFeed } from '../../src/tasks/task-feed.ts';
import { createTaskService } from '../../src/tasks/task-service.ts';
import { createLogLines } from '../support/log-lines.ts';
import { restClient, startRest, TASKS } from '../support/rest-client.ts';

const ABSENT = '01890000-0000-7000-8000-000000000000';

describe('POST /tasks', () => {
  test('answers 201 with the task, its place and the defaults', async () => {
    const rest = await startRest();
    const { status, headers, body } = await rest.post({ title: 'Say hello' });
    expect(status).toBe(201);
    expect(headers.location).toBe(`${TASKS}/${body.id}`);
    expect(taskJson.strict().parse(body)).toEqual({
      id: expect.any(String),
      title: 'Say hello',
      description: '',
      priority: 'MEDIUM',
      status: 'PENDING',
      type: 'simulate',
      payload: null,
      result: null,
      error: null,
      attempt: 0,
      max_attempts: 3,
      progress: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      run_at: expect.any(String),
      started_at: null,
      finished_at: null,
    });
    expect((await rest.get(`${TASKS}/${body.id}`)).body).toEqual(body);
  });

  test('takes every field, and answers times in UTC', async () => {
    const rest = await startRest();
    const at = new Date(Date.now() + 3_600_000);
    const { status, body } = await rest.post({
      title: 'Later',
      description: 'by an hour',
      priority: 'LOW',
      type: 'simulate',
      payload: { durationMs: 5 },
      run_at: at.toISOString().replace('Z', '+00:00').replace('T', 't'),
      ttl_seconds: 120,
      max_attempts: 7,
      timeout_seconds: 60,
      retry: { base_seconds: 0.25, jitter: 0 },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      description: 'by an hour',
      priority: 'LOW',
      status: 'NEW',
      payload: { durationMs: 5 },
      run_at: at.toISOString(),
      max_attempts: 7,
    });
    expect(await rest.service.get(body.id)).toMatchObject({
      timeoutSeconds: 60,
      retry: { baseMs: 250, factor: null, capMs: null, jitter: 0 },
      expiresAt: new Date(at.getTime() + 120_000),
    });
  });

  test('takes null for left out', async () => {
    const rest = await startRest();
    const { status, body } = await rest.post({
      title: 'Nothing else',
      description: null,
      priority: null,
      type: null,
      payload: null,
      run_at: null,
      expires_at: null,
      ttl_seconds: null,
      max_attempts: null,
      timeout_seconds: null,
      retry: null,
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({ description: '', priority: 'MEDIUM', max_attempts: 3 });
  });

  test('answers NEW while the broker is away', async () => {
    const broker = createMemoryBroker();
    const rest = await startRest({ broker });
    await broker.close();
    const { status, body } = await rest.post({ title: 'x' });
    expect(status).toBe(201);
    expect(body.status).toBe('NEW');
  });

  test('answers a repeat with the first task', async () => {
    const rest = await startRest();
    const headers = { 'idempotency-key': 'order-17' };
    const first = await rest.post({ title: 'x', payload: { durationMs: 1 } }, headers);
    const again = await rest.post({ payload: { durationMs: 1 }, title: 'x' }, headers);
    expect(first.status).toBe(201);
    expect(first.headers).not.toHaveProperty('idempotency-replayed');
    expect(again.status).toBe(200);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.headers.location).toBe(first.headers.location);
    expect(again.body).toEqual(first.body);
  });

  test('with a repeated Idempotency-Key gives that task also when its deadline has passed meanwhile', async () => {
    const rest = await startRest();
    const headers = { 'idempotency-key': 'order-17' };
    const body = { title: 'x', expires_at: new Date(Date.now() + 60_000).toISOString() };
    const first = await rest.post(body, headers);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 });
    onTestFinished(() => void vi.useRealTimers());
    const again = await rest.post(body, headers);
    expect(again.status).toBe(200);
    expect(again.body.id).toBe(first.body.id);
    expect((await rest.post(body)).status).toBe(422);
  });

  test('refuses a used key with other input', async () => {
    const rest = await startRest();
    await rest.post({ title: 'x' }, { 'idempotency-key': 'order-17' });
    const { status, body } = await rest.post({ title: 'y' }, { 'idempotency-key': 'order-17' });
    expect(status).toBe(409);
    expect(body.detail).toContain('"order-17"');
  });

  test('shares its keys with GraphQL, whatever the script', async () => {
    const rest = await startRest();
    const { id } = await rest.create({ title: 'x', idempotencyKey: 'заказ-17' });
    const asBytes = Buffer.from('заказ-17').toString('latin1');
    const { status, body } = await rest.post({ title: 'x' }, { 'idempotency-key': asBytes });
    expect(status).toBe(200);
    expect(body.id).toBe(id);
  });

  test('keeps a payload as it is, however its keys are called', async () => {
    const rest = await startRest({ taskTypes: { any: { description: 'Takes any payload.' } } });
    const payload = '{"__proto__":{"admin":true},"constructor":{"prototype":1}}';
    const { status, text, body } = await rest.post(
      `{"title":"x","type":"any","payload":${payload}}`,
    );
    expect(status).toBe(201);
    expect(text).toContain('"__proto__":{"admin":true}');
    expect((await rest.get(`${TASKS}/${body.id}`)).text).toContain('"__proto__":{"admin":true}');
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
  });
});

describe('GET /tasks', () => {
  test('lists the newest first, with their number', async () => {
    const rest = await startRest();
    const titles = Array.from({ length: 12 }, (_, index) => `task ${index}`);
    for (const title of titles) await rest.create({ title });
    const { status, headers, body } = await rest.get(TASKS);
    expect(status).toBe(200);
    expect(headers['x-total-count']).toBe('12');
    const newest = titles.toReversed().slice(0, 10);
    expect(body.map(({ title }: { title: string }) => title)).toEqual(newest);
  });

  test('skips and limits', async () => {
    const rest = await startRest();
    for (const title of ['a', 'b', 'c', 'd']) await rest.create({ title });
    const { headers, body } = await rest.get(`${TASKS}?skip=1&limit=2`);
    expect(body.map(({ title }: { title: string }) => title)).toEqual(['c', 'b']);
    expect(headers['x-total-count']).toBe('4');
    expect((await rest.get(`${TASKS}?skip=1000000`)).body).toEqual([]);
  });

  test.each([
    ['status=CANCELLED', ['cancelled']],
    ['status=PENDING&priority=HIGH', ['high']],
    ['priority=LOW', []],
    ['type=simulate&limit=1', ['high']],
    ['type=other', []],
    ['status=&priority=&type=&skip=0&limit=10', ['high', 'cancelled']],
  ])('filters by %s', async (query, expected) => {
    const rest = await startRest();
    const { id } = await rest.create({ title: 'cancelled' });
    await rest.service.cancel(id);
    await rest.create({ title: 'high', priority: 'HIGH' });
    const { status, body } = await rest.get(`${TASKS}/?${query}`);
    expect(status).toBe(200);
    expect(body.map(({ title }: { title: string }) => title)).toEqual(expected);
  });
});

describe('one task', () => {
  test('can be asked for by an id in capitals', async () => {
    const rest = await startRest();
    const { id } = await rest.create();
    expect((await rest.get(`${TASKS}/${id.toUpperCase()}`)).body.id).toBe(id);
  });

  test('tells its status alone', async () => {
    const rest = await startRest();
    const { id } = await rest.create();
    const { status, body } = await rest.get(`${TASKS}/${id}/status`);
    expect(status).toBe(200);
    expect(body).toEqual({ id, status: 'PENDING' });
  });

  test('shows its result when it is done', async () => {
    const rest = await startRest();
    const { id } = await rest.create({ payload: { durationMs: 1 } });
    await rest.startWorker();
    await rest.follow(id);
    const { body } = await rest.get(`${TASKS}/${id}`);
    expect(taskJson.strict().parse(body)).toMatchObject({
      status: 'COMPLETED',
      result: expect.stringContaining('a test'),
      error: null,
      attempt: 1,
      started_at: expect.any(String),
      finished_at: expect.any(String),
    });
  });

  test('shows the message of its last failure, and no stack', async () => {
    const rest = await startRest();
    const payload = { durationMs: 1, failAttempts: 1, error: 'no such printer' };
    const { id } = await rest.create({ payload, maxAttempts: 1 });
    await rest.startWorker();
    await rest.follow(id);
    const { body } = await rest.get(`${TASKS}/${id}`);
    expect(body).toMatchObject({ status: 'FAILED', error: 'no such printer', attempt: 1 });
  });

  test('is cancelled by DELETE, once', async () => {
    const rest = await startRest();
    const { id } = await rest.create();
    const first = await rest.delete(`${TASKS}/${id}`);
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({ id, status: 'CANCELLED', finished_at: expect.any(String) });
    const again = await rest.delete(`${TASKS}/${id}`);
    expect(again.status).toBe(409);
    expect(again.body.detail).toBe(`Task ${id} is already CANCELLED.`);
  });

  test('is cancelled by a client that sends a content type with everything', async () => {
    const rest = await startRest();
    const { id } = await rest.create();
    const { status } = await rest.request({
      method: 'DELETE',
      url: `${TASKS}/${id}`,
      headers: { 'content-type': 'application/json' },
    });
    expect(status).toBe(200);
  });

  test.each([
    ['GET', ''],
    ['GET', '/status'],
    ['DELETE', ''],
  ] as const)('that nobody created is a 404 for %s %s', async (method, suffix) => {
    const rest = await startRest();
    const { status, headers, body } = await rest.request({
      method,
      url: `${TASKS}/${ABSENT}${suffix}`,
    });
    expect(status).toBe(404);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(body).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: `There is no task ${ABSENT}.`,
    });
  });
});

describe('every path', () => {
  test('may end in one slash', async () => {
    const rest = await startRest();
    const { id } = await rest.create();
    for (const path of ['', `/${id}`, `/${id}/status`]) {
      const [without, withSlash] = [
        await rest.get(`${TASKS}${path}`),
        await rest.get(`${TASKS}${path}/`),
      ];
      expect(withSlash.status).toBe(200);
      expect(withSlash.body).toEqual(without.body);
    }
    const created = await rest.request({
      method: 'POST',
      url: `${TASKS}/`,
      payload: { title: 'x' },
    });
    expect(created.status).toBe(201);
    expect((await rest.delete(`${TASKS}/${id}/`)).status).toBe(200);
  });

  test('answers HEAD like GET, without a body', async () => {
    const rest = await startRest();
    const { id } = await rest.create();
    for (const path of ['', `/${id}`, `/${id}/status`]) {
      const { status, text } = await rest.request({ method: 'HEAD', url: `${TASKS}${path}` });
      expect(status).toBe(200);
      expect(text).toBe('');
    }
  });

  test.each([
    ['PUT', TASKS, 'GET, HEAD, POST'],
    ['DELETE', `${TASKS}/`, 'GET, HEAD, POST'],
    ['POST', `${TASKS}/${ABSENT}`, 'DELETE, GET, HEAD'],
    ['PATCH', `${TASKS}/${ABSENT}/status?x=1`, 'GET, HEAD'],
    ['POST', '/health', 'GET, HEAD'],
  ] as const)('refuses another method: %s %s', async (method, url, allow) => {
    const { request } = await unreachableRest();
    const { status, headers, body } = await request({ method, url, payload: '<xml/>' });
    expect(status).toBe(405);
    expect(headers.allow).toBe(allow);
    expect(body).toMatchObject({ title: 'Method Not Allowed', status: 405 });
  });

  test.each(['/nope', '/api/v1', '/api/v1/tasks/a/b', '/api/v1/task', '//x'])(
    'that does not exist is a 404: %s',
    async (url) => {
      const { request } = await unreachableRest();
      for (const method of ['GET', 'POST'] as const) {
        const { status, body } = await request({ method, url, payload: 'whatever' });
        expect(status).toBe(404);
        expect(body).toMatchObject({ type: 'about:blank', status: 404 });
      }
    },
  );

  test('sends headers that keep browsers from guessing, framing and caching', async () => {
    const { get } = await unreachableRest();
    expect((await get(`${TASKS}/nonsense`)).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
      'x-request-id': expect.any(String),
    });
  });
});

describe('when something is wrong on our side', () => {
  test('a database that is away is a 503, with the time to come back', async () => {
    const { get, post, delete: remove, logs } = await unreachableRest();
    const answers = [
      await get(TASKS),
      await get(`${TASKS}/${ABSENT}`),
      await post({ title: 'x' }),
      await remove(`${TASKS}/${ABSENT}`),
      await get(`${TASKS}/${ABSENT}/events`),
      await get('/api/v1/events'),
    ];
    for (const { status, headers, body } of answers) {
      expect(status).toBe(503);
      expect(headers['retry-after']).toBe('5');
      expect(body).toMatchObject({ title: 'Service Unavailable', status: 503 });
    }
    expect(logs.all.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('what nobody foresaw is a 500 that says nothing but where to look in the log', async () => {
    const secret = `password-${randomUUID()}`;
    const { get, logs } = await unreachableRest(async (app) => {
      app.get('/broken', async () => {
        throw new Error(secret);
      });
    });
    const { status, headers, text, body } = await get('/broken');
    expect(status).toBe(500);
    expect(text).not.toContain(secret);
    expect(body).toEqual({
      type: 'about:blank',
      title: 'Internal Server Error',
      status: 500,
      detail: 'Something went wrong on our side. It was logged.',
      instance: `urn:uuid:${headers['x-request-id']}`,
    });
    const errors = logs.all.filter(({ level }) => level === 'error');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({
      reqId: headers['x-request-id'],
      err: { message: secret, stack: expect.any(String) },
    });
  });
});

/** REST whose database refuses connections: for what is decided before the database is asked. */
async function unreachableRest(...plugins: Parameters<typeof restClient>[0]['plugins'] & object) {
  const { log, lines } = createLogLines();
  const database = openDatabase({ url: 'postgresql://postgres@127.0.0.1:1/none', log });
  const broker = createMemoryBroker();
  const advance = createAdvance({ sql: database, broker });
  const tasks = createTaskService({ database, broker, advance });
  const feed = await createTaskFeed({ broker, sql: database, log });
  onTestFinished(feed.close);
  return { ...restClient({ tasks, feed, log, plugins }), logs: lines };
}

import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { HealthProbes } from '../../src/http/health.ts';
import { createHttpServer } from '../../src/http/server.ts';

const log = pino({ level: 'silent' });

describe('/health', () => {
  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('is always 200: database %s, RabbitMQ %s', async (database, rabbitmq) => {
    const get = withProbes({ database: async () => database, broker: () => rabbitmq });
    expect(await get('/health')).toEqual([
      200,
      { database, rabbitmq, status: database && rabbitmq },
    ]);
  });

  test('says false of a database that fails', async () => {
    const get = withProbes({ database: () => Promise.reject(new Error('refused')) });
    expect(await get('/health')).toEqual([200, { database: false, rabbitmq: true, status: false }]);
  });

  test('answers within 2 s when the database is silent', async () => {
    const get = withProbes({ database: () => new Promise(() => {}) });
    const started = performance.now();
    expect(await get('/health')).toEqual([200, { database: false, rabbitmq: true, status: false }]);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('/health/live', () => {
  test('is 200 whatever is away', async () => {
    const get = withProbes({ database: async () => false, broker: () => false });
    expect(await get('/health/live')).toEqual([200, { live: true }]);
  });
});

describe('/health/ready', () => {
  test('is 200 when all is there', async () => {
    const get = withProbes({});
    expect(await get('/health/ready')).toEqual([
      200,
      { ready: true, draining: false, database: true, rabbitmq: true },
    ]);
  });

  test('is 200 while RabbitMQ is away, since tasks are accepted all the same', async () => {
    const get = withProbes({ broker: () => false });
    expect(await get('/health/ready')).toEqual([
      200,
      { ready: true, draining: false, database: true, rabbitmq: false },
    ]);
  });

  test.each<[string, Partial<HealthProbes>]>([
    ['the database is away', { database: async () => false }],
    ['it drains', { draining: () => true }],
  ])('is 503 while %s', async (_what, probes) => {
    const get = withProbes(probes);
    expect(await get('/health/ready/')).toEqual([503, expect.objectContaining({ ready: false })]);
  });
});

function withProbes(probes: Partial<HealthProbes>) {
  const there = { database: async () => true, broker: () => true, draining: () => false };
  const server = createHttpServer({ log, health: { ...there, ...probes }, plugins: [] });
  onTestFinished(() => server.close({ graceMs: 0 }));
  return async (url: string): Promise<[number, unknown]> => {
    const answer = await server.app.inject({ url });
    return [answer.statusCode, answer.json()];
  };
}

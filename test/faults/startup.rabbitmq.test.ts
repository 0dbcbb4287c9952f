import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { askGraphql } from '../support/graphql-client.ts';
import { breaches } from '../support/ledger.ts';
import { createTask, request } from '../support/rest-calls.ts';
import { type ServiceProcess, spawnService } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';

test('an API and a worker that start before PostgreSQL and RabbitMQ wait, and start when they come', async () => {
  const { env, ledger } = await setStage();
  const [postgres, rabbit] = [await setLink(env.DATABASE_URL), await setLink(env.RABBITMQ_URL)];
  await Promise.all([postgres.refuse(), rabbit.refuse()]);
  const cut = { DATABASE_URL: postgres.url, RABBITMQ_URL: rabbit.url };
  const [api, worker] = [spawnService('api', { env: cut }), spawnService('worker', { env: cut })];
  await Promise.all([api, worker].map((one) => one.said('waits for the database at 127.0.0.1')));
  const url = await urlOf(api);

  expect(await request(url, 'GET', '/health/live')).toMatchObject({ status: 200 });
  expect(await request(url, 'GET', '/health/ready')).toMatchObject({ status: 503 });
  expect(await request(url, 'POST', '/api/v1/tasks/', { title: 'soon' })).toMatchObject({
    status: 503,
    contentType: expect.stringContaining('application/problem+json'),
  });
  const { errors } = await askGraphql(url, { query: '{ tasks { totalCount } }' });
  expect(errors).toMatchObject([{ extensions: { code: 'SERVICE_UNAVAILABLE' } }]);

  await postgres.heal();
  await Promise.all([api.said('"started"'), worker.said('"worker registered"')]);
  expect(await request(url, 'GET', '/health/ready')).toMatchObject({ status: 200 });
  const { status } = await createTask(url, { payload: { durationMs: 20 } });
  expect(status).toBe('NEW');
  await rabbit.heal();
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(1), WAIT);
  expect(breaches(await ledger.tasks())).toEqual([]);
  for (const one of [api, worker]) expect(one.count('waits for the database')).toBe(1);
}, 40_000);

test('role all waits as well, then migrates and starts', async () => {
  const { env } = await setStage();
  const postgres = await setLink(env.DATABASE_URL);
  await postgres.refuse();
  const service = spawnService('all', { env: { DATABASE_URL: postgres.url } });
  await service.said('waits for the database at 127.0.0.1');
  await postgres.heal();
  await service.said('"started"');
});

test.each(['api', 'worker', 'all'] as const)(
  'role %s that waits for a silent database exits 0 at SIGTERM',
  async (role) => {
    const { env } = await setStage();
    const postgres = await setLink(env.DATABASE_URL);
    postgres.stall();
    const service = spawnService(role, { env: { ...env, DATABASE_URL: postgres.url } });
    await service.said('waits for the database at 127.0.0.1');
    const before = performance.now();
    service.kill('SIGTERM');
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(service.count('could not')).toBe(0);
  },
);

test('a database that lacks a migration is refused by API and worker, with what to run', async () => {
  const { env } = await setStage();
  const latest = (await readdir(MIGRATIONS))
    .filter((name) => /^\d/.test(name))
    .sort()
    .at(-1);
  await change(
    env.DATABASE_URL,
    'delete from _prisma_migrations where migration_name = $1',
    latest,
  );
  for (const role of ['api', 'worker'] as const) {
    const service = spawnService(role, { env });
    expect(await service.exited).toEqual({ code: 1, signal: null });
    const sentence = `could not start: The database lacks the migration(s) ${latest}: run \`make migrate\` first.`;
    expect(service.count(sentence)).toBe(1);
  }
});

test('a database that a newer version has migrated is refused at the start, and not by who runs already', async () => {
  const { env, ledger } = await setStage();
  const [api, worker] = [spawnService('api', { env }), spawnService('worker', { env })];
  await Promise.all([api.said('"started"'), worker.said('"worker registered"')]);
  await change(
    env.DATABASE_URL,
    `insert into _prisma_migrations (id, checksum, migration_name, finished_at) values ('x', '', $1, now())`,
    '20990101000000_newer',
  );
  for (const role of ['api', 'worker', 'all'] as const) {
    const late = spawnService(role, { env });
    expect(await late.exited).toEqual({ code: 1, signal: null });
    const sentence =
      'could not start: The database was migrated by a newer version (20990101000000_newer): deploy that version.';
    expect(late.count(sentence)).toBe(1);
  }
  await createTask(await urlOf(api), { payload: { durationMs: 20 } });
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(1), WAIT);
}, 40_000);

const WAIT = { timeout: 20_000, interval: 50 };

const MIGRATIONS = join(import.meta.dirname, '../../prisma/migrations');

/** Where an API listens, ready or not. */
async function urlOf(api: ServiceProcess): Promise<string> {
  return String((await api.said('"listens"')).url);
}

async function change(url: string, statement: string, ...values: unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(statement, values);
}

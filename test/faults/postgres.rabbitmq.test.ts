import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { applyMigrations } from '../../src/store/migrate.ts';
import { breaches, type Ledger, openLedger } from '../support/ledger.ts';
import { report } from '../support/measure.ts';
import { createTask, request } from '../support/rest-calls.ts';
import { type ServiceProcess, startApi, startWorker } from '../support/service-process.ts';
import { setStage } from '../support/stage.ts';
import { startSteadyLoad } from '../support/steady-load.ts';

const log = pino({ level: 'silent' });

/** How often all sessions are ended. */
const ROUNDS = 20;

test('sessions ended in the middle of statements, again and again: every acknowledged task completes once', async () => {
  const { env, ledger } = await setStage();
  const service = await startService(env);
  const load = startSteadyLoad({ urls: [service.url], perSecond: 60 });
  let ended = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await sleep(250);
    const { rowCount } = await ledger.sql.query(END_SESSIONS);
    ended += rowCount ?? 0;
  }
  await load.stop();
  await untilAllAcknowledgedCompleted(ledger, load.acknowledged);
  expect(ended).toBeGreaterThan(ROUNDS);
  expect(errorsOf(load)).toEqual(new Set(load.failures.length > 0 ? ['REST 503'] : []));
  report(`${ended} sessions ended: ${load.acknowledged.length} acknowledged, ${told(load)}`);
  service.expectRunning();
}, 90_000);

test('PostgreSQL killed with -9 under load and started again: every acknowledged task completes once', async () => {
  const dataDir = join(await mkdtemp(join(tmpdir(), 'async-task-manager-kill-')), 'postgres');
  onTestFinished(() => rm(join(dataDir, '..'), { recursive: true, force: true }));
  let server = await startEmbeddedPostgres({ dataDir, log });
  onTestFinished(() => server.stop());
  await applyMigrations({ databaseUrl: server.url, log });
  const { env } = await setStage();
  const ledger = openLedger(server.url);
  const service = await startService({ ...env, DATABASE_URL: server.url });
  const load = startSteadyLoad({ urls: [service.url], perSecond: 60 });
  await vi.waitFor(() => expect(load.acknowledged.length).toBeGreaterThan(50), WAIT);

  const [pid] = (await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(pid), 'SIGKILL');
  const before = load.acknowledged.length;
  await vi.waitFor(() => expect(load.failures.length).toBeGreaterThan(30), WAIT);
  server = await startEmbeddedPostgres({ dataDir, log, port: Number(new URL(server.url).port) });
  await vi.waitFor(() => expect(load.acknowledged.length).toBeGreaterThan(before + 100), WAIT);
  await load.stop();
  await untilAllAcknowledgedCompleted(ledger, load.acknowledged);
  expect(errorsOf(load)).toEqual(new Set(['REST 503']));
  report(`PostgreSQL killed: ${load.acknowledged.length} acknowledged, ${told(load)}`);
  service.expectRunning();
}, 120_000);

test('a primary that turns read-only: writing answers 503, reading goes on, and it recovers without a restart', async () => {
  const { env, ledger } = await setStage();
  const service = await startService(env);
  const running = await createTask(service.url, { payload: { durationMs: 3_000 } });
  await vi.waitFor(async () => expect(await ledger.count('IN_PROGRESS')).toBe(1), WAIT);

  await turnReadOnly(ledger, true);
  const refused = await request(service.url, 'POST', '/api/v1/tasks/', { title: 'too bad' });
  expect(refused).toMatchObject({ status: 503, body: { status: 503 } });
  expect(refused.contentType).toContain('application/problem+json');
  const read = await request(service.url, 'GET', `/api/v1/tasks/${running.id}`);
  expect(read).toMatchObject({ status: 200, body: { status: 'IN_PROGRESS' } });
  // The run ends meanwhile: its outcome has to wait for a server that takes it.
  await service.worker.said('could not settle yet', 2);

  // As behind a proxy that now leads to the new primary: connections that are open still end at the old one.
  await turnReadOnly(ledger, false);
  const { id } = await vi.waitFor(
    () => createTask(service.url, { payload: { durationMs: 20 } }),
    WAIT,
  );
  await untilAllAcknowledgedCompleted(ledger, [running.id, id]);
  service.expectRunning();
}, 60_000);

test('a full disk: creating answers 503, what runs keeps its outcome, and all completes once there is room', async () => {
  const { env, ledger } = await setStage();
  const service = await startService(env);
  const running = await createTask(service.url, { payload: { durationMs: 1_000 } });
  await vi.waitFor(async () => expect(await ledger.count('IN_PROGRESS')).toBe(1), WAIT);

  // What a server without room for another page says, to every statement that would need one.
  await ledger.sql.query(`
    create function no_room() returns trigger language plpgsql as
    $$ begin raise 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`);
  await ledger.sql.query(
    'create trigger no_room before insert on task_events execute function no_room()',
  );
  const refused = await request(service.url, 'POST', '/api/v1/tasks/', { title: 'too much' });
  expect(refused).toMatchObject({ status: 503 });
  const { text } = await service.worker.said('could not settle yet', 2);
  expect(text).toContain('No space left on device');

  await ledger.sql.query('drop trigger no_room on task_events');
  const { id } = await createTask(service.url, { payload: { durationMs: 20 } });
  await untilAllAcknowledgedCompleted(ledger, [running.id, id]);
  expect((await ledger.tasks()).map(({ attempt }) => attempt)).toEqual([1, 1]);
  service.expectRunning();
}, 60_000);

const WAIT = { timeout: 30_000, interval: 50 };

/** About half of those that there are, of the service only. */
const END_SESSIONS = `
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = 'async-task-manager' and random() < 0.5`;

async function startService(env: Record<string, string>) {
  const roomy = { ...env, WORKER_CONCURRENCY: 'HIGH=5,MEDIUM=5,LOW=5' };
  const [api, worker] = await Promise.all([startApi({ env }), startWorker(roomy)]);
  function expectRunning(): void {
    for (const one of [api, worker] satisfies ServiceProcess[]) expect(one.isRunning).toBe(true);
  }
  return { url: api.url, worker, expectRunning };
}

/** Also those that were stored without an answer complete. */
async function untilAllAcknowledgedCompleted(
  ledger: Ledger,
  acknowledged: readonly string[],
): Promise<void> {
  await vi.waitFor(async () => {
    const { rows } = await ledger.sql.query(
      "select count(*)::int as open from tasks where status <> 'COMPLETED'",
    );
    expect(rows).toEqual([{ open: 0 }]);
  }, WAIT);
  const tasks = await ledger.tasks();
  const stored = new Set(tasks.map(({ id }) => id));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  expect(breaches(tasks)).toEqual([]);
}

/** For all sessions that begin from now on; those that there are end only with a change to read-only. */
async function turnReadOnly({ sql }: Ledger, isReadOnly: boolean): Promise<void> {
  await sql.query('set default_transaction_read_only = off');
  const { rows } = await sql.query<{ name: string }>('select current_database() as name');
  const database = rows[0]?.name;
  await sql.query(`alter database ${database} set default_transaction_read_only = ${isReadOnly}`);
  if (isReadOnly) await sql.query(END_SESSIONS.replace(' and random() < 0.5', ''));
}

function errorsOf({ failures }: { failures: readonly { error: string }[] }): Set<string> {
  return new Set(failures.map(({ error }) => error));
}

function told({ failures }: { failures: readonly unknown[] }): string {
  return `${failures.length} answered 503`;
}

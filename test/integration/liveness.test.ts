import { v7 as uuidv7 } from 'uuid';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { openWorkerSession } from '../../src/store/worker-session.ts';
import { buryDeadWorkers, registerWorker } from '../../src/store/workers.ts';
import { startLiveness } from '../../src/worker/liveness.ts';
import { createRuns } from '../../src/worker/runs.ts';
import { createFallibleSql } from '../support/fallible-sql.ts';
import { createLogLines } from '../support/log-lines.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase } from '../support/test-database.ts';

const LIMITS = { silentMs: 15_000, cutOffMs: 2_500 };
const { log } = createLogLines();

let url: string;
let database: Database;

beforeEach(async () => {
  const test = await createTestDatabase();
  onTestFinished(test.drop);
  ({ url } = test);
  database = openDatabase({ url, log });
  onTestFinished(() => database.close());
});

test('a worker that gives signs of life declares dead who has been silent', async () => {
  const [judge, silent] = [await register({ silentS: 1 }), await register({ silentS: 20 })];
  expect(await bury(judge.id)).toEqual([silent.id]);
  expect(await bury(judge.id)).toEqual([]);
});

test('a worker that has itself been silent declares nobody dead, nor does one that is dead', async () => {
  const slept = await register({ silentS: 3_600 });
  await register({ silentS: 3_600 });
  expect(await bury(slept.id)).toEqual([]);
  const judge = await register({ silentS: 0 });
  expect(await bury(judge.id)).toHaveLength(2);
  const other = await register({ silentS: 20 });
  await heartbeat(slept.id, 0);
  expect(await bury(slept.id)).toEqual([]);
  expect(await bury(judge.id)).toEqual([other.id]);
});

test('a short silence is death only for a worker whose session is gone', async () => {
  const [judge, short] = [await register({ silentS: 0 }), await register({ silentS: 5 })];
  const session = openWorkerSession({ url, lockKey: short.lockKey, log });
  await untilLocked(1);
  expect(await bury(judge.id)).toEqual([]);
  await session.close();
  await untilLocked(0);
  expect(await bury(judge.id)).toEqual([short.id]);
});

test('a session whose link is dead without a word is replaced, and holds its lock again', async () => {
  const proxy = await startTcpProxy({ targetPort: Number(new URL(url).port) });
  onTestFinished(proxy.close);
  const { lockKey } = await register({ silentS: 0 });
  const proxied = Object.assign(new URL(url), { port: String(proxy.port) }).href;
  const session = openWorkerSession({ url: proxied, lockKey, log });
  onTestFinished(session.close);
  await untilLocked(1);
  const first = await lockHolder();
  proxy.stall();
  await database.run({ text: 'select pg_terminate_backend($1)' }, [first]);
  await untilLocked(0);
  // The news of that is held back as well: the link only says nothing.
  await vi.waitFor(() => expect(proxy.connections).toBeGreaterThan(1), WAIT);
  proxy.resume();
  await untilLocked(1);
  expect(await lockHolder()).not.toBe(first);
}, 40_000);

test('a session that cannot have its lock leaves no one waiting for it in the database', async () => {
  const { lockKey } = await register({ silentS: 0 });
  const holder = openWorkerSession({ url, lockKey, log });
  onTestFinished(holder.close);
  await untilLocked(1);
  const session = openWorkerSession({ url, lockKey, log });
  onTestFinished(session.close);
  await vi.waitFor(async () => expect(await waiting()).toHaveLength(1), WAIT);
  const [first] = await waiting();
  await vi.waitFor(async () => expect(await waiting()).not.toContain(first), WAIT);
  await vi.waitFor(async () => expect(await waiting()).toHaveLength(1), WAIT);
}, 40_000);

test('a worker whose signs of life do not arrive claims nothing under its name until they do', async () => {
  const sql = createFallibleSql(database);
  const runs = createRuns();
  const giveBack = async () => {};
  const liveness = startLiveness({ sql, databaseUrl: url, runs, giveBack, log });
  onTestFinished(liveness.stop);
  await liveness.born;
  const id = liveness.workerId();
  expect(id).toBeDefined();
  const outage = sql.fail();
  await vi.waitFor(() => expect(liveness.workerId()).toBeUndefined(), WAIT);
  outage.end();
  // Nobody has declared it dead.
  await vi.waitFor(() => expect(liveness.workerId()).toBe(id), WAIT);
}, 40_000);

const WAIT = { timeout: 20_000, interval: 50 };

/** Who waits for an advisory lock in this test's database. */
async function waiting(): Promise<number[]> {
  const text = `
    select l.pid from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`;
  return (await database.run<{ pid: number }>({ text })).map(({ pid }) => pid);
}

async function register({
  silentS,
}: {
  silentS: number;
}): Promise<{ id: string; lockKey: string }> {
  const id = uuidv7();
  const { lockKey } = await registerWorker(database, { id, hostname: 'here', pid: 1 });
  await heartbeat(id, silentS);
  return { id, lockKey };
}

async function heartbeat(id: string, secondsAgo: number): Promise<void> {
  const text = "update workers set heartbeat_at = now() - $2::int * interval '1 s' where id = $1";
  await database.run({ text }, [id, secondsAgo]);
}

async function bury(judge: string): Promise<string[]> {
  return (await buryDeadWorkers(database, judge, LIMITS)).map(({ id }) => id);
}

async function lockHolder(): Promise<number | undefined> {
  const text = `select pid from pg_locks where locktype = 'advisory' and granted
    and database = (select oid from pg_database where datname = current_database())`;
  return (await database.run<{ pid: number }>({ text }))[0]?.pid;
}

async function untilLocked(count: 0 | 1): Promise<void> {
  await vi.waitFor(async () => {
    expect((await lockHolder()) === undefined ? 0 : 1).toBe(count);
  }, WAIT);
}

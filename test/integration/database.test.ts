import { setImmediate as afterPending } from 'node:timers/promises';
import pg from 'pg';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { databaseUnavailable } from '../../src/store/database-errors.ts';
import { runInOneTrip } from '../../src/store/one-trip.ts';
import { createLogLines } from '../support/log-lines.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase } from '../support/test-database.ts';

let url: string;
let database: Database;

beforeEach(async () => {
  const test = await createTestDatabase();
  onTestFinished(test.drop);
  ({ url } = test);
  database = open(url);
});

test('a transaction is committed when its work resolves, and rolled back when it throws', async () => {
  await database.transaction((tx) => tx.run({ text: 'create table kept ()' }));
  const failing = database.transaction(async (tx) => {
    await tx.run({ text: 'create table gone ()' });
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  await database.run({ text: 'select from kept' });
  await expect(database.run({ text: 'select from gone' })).rejects.toThrow('does not exist');
});

test('a first statement that fails leaves its connection fit for the next transaction', async () => {
  const single = open(url, { poolSize: 1 });
  await single.transaction((tx) => tx.run({ text: 'create table kept ()' }));
  const failing = single.transaction((tx) => tx.run({ text: 'select from nowhere' }));
  await expect(failing).rejects.toThrow('does not exist');
  const rows = await single.transaction((tx) => tx.run({ text: 'select 1 as one' }));
  expect(rows).toEqual([{ one: 1 }]);
});

test('a first statement is not run when the BEGIN that it takes along fails', async () => {
  const pool = new pg.Pool({ connectionString: url });
  onTestFinished(() => pool.end());
  const client = await pool.connect();
  // It was never prepared here.
  const begin = { statement: { name: 'begin', text: 'begin' }, values: [] };
  const create = { statement: { text: 'create table outside ()' }, values: [] };
  const failing = runInOneTrip(client, [begin], create);
  await expect(failing).rejects.toThrow('prepared statement "begin" does not exist');
  client.release();
  await expect(database.run({ text: 'select from outside' })).rejects.toThrow('does not exist');
});

describe('statements that run together', () => {
  const one = { statement: { name: 'one', text: 'select $1::text as one' }, values: ['1'] };
  const many = {
    statement: { name: 'many', text: 'select n from generate_series(1, $1::int) n' },
    values: ['2'],
  };
  const write = {
    statement: { name: 'write', text: `insert into kept values ($1) returning n` },
    values: ['7'],
  };
  const nothing = {
    statement: { name: 'nothing', text: 'delete from kept where n = $1' },
    values: ['0'],
  };

  test('each has its rows, from the first time on', async () => {
    const single = open(url, { poolSize: 1 });
    await single.run({ text: 'create table kept (n int check (n > 0))' });
    for (let times = 0; times < 3; times += 1) {
      expect(await single.runTogether([one, nothing, many, write])).toEqual([
        [{ one: '1' }],
        [],
        [{ n: 1 }, { n: 2 }],
        [{ n: 7 }],
      ]);
    }
  });

  test('all are undone when one fails, and the connection is fit for more', async () => {
    const single = open(url, { poolSize: 1 });
    await single.run({ text: 'create table kept (n int check (n > 0))' });
    const wrong = { ...write, values: ['-1'] };
    for (let times = 0; times < 3; times += 1) {
      await expect(single.runTogether([write, wrong])).rejects.toThrow('violates check constraint');
      await expect(single.runTogether([wrong, write])).rejects.toThrow('violates check constraint');
      expect(await single.runTogether([one, write])).toEqual([[{ one: '1' }], [{ n: 7 }]]);
    }
    expect(await single.run({ text: 'select from kept' })).toHaveLength(3);
  });

  test('it is said when the database is away', async () => {
    const proxy = await startTcpProxy({ targetPort: Number(new URL(url).port) });
    const proxied = Object.assign(new URL(url), { port: String(proxy.port) }).href;
    const single = open(proxied, { poolSize: 1 });
    await single.runTogether([one, many]);
    await single.runTogether([one, many]);
    await proxy.close();
    const failing = single.runTogether([one, many]);
    await expect(failing).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  });
});

test('a database that lets nobody in is away, for whatever reason it gives', async () => {
  const name = new URL(url).pathname.slice(1);
  const server = open(Object.assign(new URL(url), { pathname: '/postgres' }).href);
  await server.run({ text: `alter database ${name} allow_connections false` });
  const outside = open(url);
  const away = { code: 'SERVICE_UNAVAILABLE' };
  await expect(outside.run({ text: 'select 1' })).rejects.toMatchObject(away);
  await expect(outside.transaction((tx) => tx.run({ text: 'select 1' }))).rejects.toMatchObject(
    away,
  );
  const error: unknown = await outside.prisma.task.findFirst().catch((error: unknown) => error);
  expect(databaseUnavailable(error)).toMatchObject(away);
});

test('a statement that fails leaves its connection in the pool', async () => {
  const single = open(url, { poolSize: 1 });
  const pid = async () =>
    (await single.run<{ pid: number }>({ text: 'select pg_backend_pid() as pid' }))[0]?.pid;
  const before = await pid();
  await expect(single.run({ text: 'select from nowhere' })).rejects.toThrow('does not exist');
  expect(await pid()).toBe(before);
});

test('a connection whose prepared statements are of no use any more is replaced', async () => {
  const single = open(url, { poolSize: 1 });
  const read = { name: 'read', text: 'select * from changing' };
  await single.run({ text: 'create table changing (a int)' });
  await single.run(read);
  await database.run({ text: 'alter table changing alter column a type text' });
  await expect(single.run(read)).rejects.toThrow('cached plan must not change result type');
  expect(await single.run(read)).toEqual([]);
});

test('so is one that there are too many of, whoever says it', () => {
  const cause = { originalCode: '53300', kind: 'TooManyConnections' };
  const error = Object.assign(new Error('too many'), {
    code: 'P2037',
    meta: { driverAdapterError: { name: 'DriverAdapterError', cause } },
  });
  expect(databaseUnavailable(error)).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
});

// Without a listener for it the error would end the whole process, and this test run with it.
test('a connection that the server ends while its transaction waits fails that transaction only', async () => {
  const failing = database.transaction(async (tx) => {
    const [row] = await tx.run<{ pid: number }>({ text: 'select pg_backend_pid() as pid' });
    await database.run({ text: 'select pg_terminate_backend($1)' }, [row?.pid]);
    await untilGone(row?.pid);
    return tx.run({ text: 'select 1' });
  });
  await expect(failing).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(await database.run({ text: 'select 1 as one' })).toEqual([{ one: 1 }]);
});

// As above. In one packet come the end of a statement, upon which its connection goes to the transaction that waits for
// it, and the news that the server ends that connection, before the transaction has seen any of it.
test('a connection that ends at the moment it is handed on fails who gets it, and nobody else', async () => {
  const proxy = await startTcpProxy({ targetPort: Number(new URL(url).port) });
  onTestFinished(proxy.close);
  const proxied = Object.assign(new URL(url), { port: String(proxy.port) }).href;
  const single = open(proxied, { poolSize: 1 });
  await single.run({ text: 'select' });
  proxy.stall();
  const first = single.run({ text: 'select' });
  const second = single.transaction((tx) => tx.run({ text: 'select' }));
  await afterPending();
  proxy.inject(Buffer.concat([COMMAND_COMPLETE, READY, ENDED]));
  expect(await first).toEqual([]);
  await expect(second).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  proxy.resume();
  expect(await single.run({ text: 'select 1 as one' })).toEqual([{ one: 1 }]);
});

test('a server that falls silent in the middle of a transaction is waited for once', {
  timeout: 30_000,
}, async () => {
  const proxy = await startTcpProxy({ targetPort: Number(new URL(url).port) });
  onTestFinished(proxy.close);
  const stalling = open(Object.assign(new URL(url), { port: String(proxy.port) }).href);
  const started = performance.now();
  const failing = stalling.transaction(async (tx) => {
    proxy.stall();
    return tx.run({ text: 'select 1' });
  });
  await expect(failing).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('a statement that the client has given up cannot be committed later', async () => {
  const [limits] = await database.run<{ statement: string; idle: string }>({
    text: `
select current_setting('statement_timeout') as statement,
       current_setting('idle_in_transaction_session_timeout') as idle`,
  });
  expect(limits).toEqual({ statement: '7500ms', idle: '10s' });
});

/** Messages of PostgreSQL's protocol. */
const COMMAND_COMPLETE = message('C', 'SELECT 0\0');
const READY = message('Z', 'I');
const ENDED = message('E', 'SFATAL\0C57P01\0Mterminating connection\0\0');

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

function open(databaseUrl: string, options: { poolSize?: number } = {}): Database {
  const opened = openDatabase({ url: databaseUrl, log: createLogLines().log, ...options });
  onTestFinished(() => opened.close());
  return opened;
}

async function untilGone(pid: number | undefined) {
  const text = 'select from pg_stat_activity where pid = $1';
  while ((await database.run({ text }, [pid])).length > 0);
}

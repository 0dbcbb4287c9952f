import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { withDatabase } from '../../src/store/database-url.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { ensureDatabase } from '../../src/store/ensure-database.ts';

const log = pino({ level: 'silent' });

test('data outlive the server, and are found again on another port', async () => {
  const dataDir = await newDataDir();
  const first = await start(dataDir);
  await query(first.url, 'create table kept as select 42 as answer');
  await first.stop();
  const second = await start(dataDir);
  expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('the server speaks UTF-8 and UTC, sorts by code point and knows the case of every letter', async () => {
  const { url } = await start(await newDataDir());
  const [row] = await query(
    url,
    `select current_setting('server_encoding') as encoding, current_setting('timezone') as zone,
            'Z' < 'a' as by_code_point, 'ÄÖÜ' ilike '%äö%' as folds`,
  );
  expect(row).toEqual({ encoding: 'UTF8', zone: 'UTC', by_code_point: true, folds: true });
});

test('the server takes connections with its password only, which is kept in a private file', async () => {
  const dataDir = await newDataDir();
  const { url } = await start(dataDir);
  const guess = new URL(url);
  guess.password = 'postgres';
  await expect(query(guess.href, 'select 1')).rejects.toThrow('password authentication failed');
  const { mode } = await stat(join(dataDir, 'cluster/async-task-manager.password'));
  expect(mode & 0o777).toBe(0o600);
});

test('stopping ends open connections and may be repeated', async () => {
  const server = await start(await newDataDir());
  const client = await connect(server.url);
  const ended = endOf(client);
  await Promise.all([server.stop(), server.stop()]);
  await ended;
});

test('a second start on the same directory is refused and does not harm the first', async () => {
  const dataDir = await newDataDir();
  const { url } = await start(dataDir);
  await expect(start(dataDir)).rejects.toThrow(/is running on .* started by process/);
  expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('of two first starts at the same moment one wins', async () => {
  const dataDir = await newDataDir();
  const starts = await Promise.allSettled([start(dataDir), start(dataDir)]);
  const outcomes = starts.map((outcome) =>
    outcome.status === 'fulfilled' ? 'started' : String(outcome.reason.name),
  );
  expect(outcomes.sort()).toEqual(['DataDirectoryInUse', 'started']);
});

test('a lock file whose process number now belongs to somebody else is no obstacle', async () => {
  const dataDir = await newDataDir();
  await (await start(dataDir)).stop();
  await writeFile(join(dataDir, 'cluster/postmaster.pid'), `${process.pid}\n`);
  const { url } = await start(dataDir);
  expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a port that is taken is named when it was asked for', async () => {
  const taken = await start(await newDataDir());
  const port = Number(new URL(taken.url).port);
  await expect(start(await newDataDir(), port)).rejects.toThrow(/Address already in use/);
});

test('the server stops by itself when its owner is killed', async () => {
  const owner = await startOwner(await newDataDir());
  const client = await connect(owner.url);
  const ended = endOf(client);
  owner.child.kill('SIGKILL');
  await ended;
});

test('a start right after a kill -9 finds all that was committed', async () => {
  const dataDir = await newDataDir();
  const owner = await startOwner(dataDir);
  await query(owner.url, 'create table kept as select 42 as answer');
  const died = once(owner.child, 'exit');
  owner.child.kill('SIGKILL');
  await died;
  const { url } = await start(dataDir);
  expect(await query(url, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('Ctrl-C in the terminal leaves the server running until its owner stops it', async () => {
  const owner = await startOwner(await newDataDir());
  const { child, lines } = owner;
  if (!child.pid) throw new Error('no child');
  process.kill(-child.pid, 'SIGINT');
  expect((await lines.next()).value).toBe('draining');
  expect(await query(owner.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  const exited = once(child, 'exit');
  child.stdin?.end();
  expect(await exited).toEqual([0, null]);
});

test.runIf(process.getuid?.() === 0)(
  'as root in a private directory the data go where the server can enter, and are found again',
  async () => {
    const dataDir = await newDataDir();
    const parent = join(dataDir, '..');
    await mkdir(parent, { recursive: true });
    await chmod(parent, 0o700);
    onTestFinished(async () => rm(await readlink(dataDir), { recursive: true }));
    const first = await start(dataDir);
    expect((await lstat(dataDir)).isSymbolicLink()).toBe(true);
    await query(first.url, 'create table kept as select 42 as answer');
    await first.stop();
    const second = await start(dataDir);
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await second.stop();
  },
);

test('a database asked for twice at the same moment is created once', async () => {
  const { url } = await start(await newDataDir());
  const another = withDatabase(url, 'another "one"');
  const created = await Promise.all([ensureDatabase(another), ensureDatabase(another)]);
  expect(created.filter(Boolean)).toHaveLength(1);
  expect(await query(another, 'select 1 as one')).toEqual([{ one: 1 }]);
});

/** A place for data below a directory that anyone may enter, as a clone usually is. */
async function newDataDir(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'embedded-postgres-'));
  await chmod(root, 0o755);
  // A server whose owner was killed may still write its last files: they make a folder appear full again.
  onTestFinished(() => rm(root, { recursive: true, maxRetries: 50 }));
  return join(root, '.data/postgres');
}

async function start(dataDir: string, port?: number): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, log, ...(port ? { port } : {}) });
  onTestFinished(server.stop);
  return server;
}

/** Starts the server from a process of its own, which stops it when its stdin ends. */
async function startOwner(
  dataDir: string,
): Promise<{ child: ChildProcess; url: string; lines: AsyncIterator<string> }> {
  const module = new URL('../../src/store/embedded-postgres.ts', import.meta.url);
  const script = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(module.href)});
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log });
    process.on('SIGINT', () => console.log('draining'));
    console.log(server.url);
    for await (const _ of process.stdin);
    await server.stop();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  return { child, url: String(value), lines };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  // The server's farewell.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Not `once`, which takes the farewell before it, an error, for a failure. */
function endOf(client: pg.Client): Promise<void> {
  return new Promise((resolve) => client.once('end', () => resolve()));
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = await connect(url);
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, inject, onTestFinished, test } from 'vitest';
import { awaitDatabase } from '../../src/store/await-database.ts';
import { withDatabase } from '../../src/store/database-url.ts';
import { ensureDatabase } from '../../src/store/ensure-database.ts';
import { applyMigrations, migrationNames } from '../../src/store/migrate.ts';
import { requireCurrentSchema } from '../../src/store/schema-version.ts';
import type { Sql } from '../../src/store/sql.ts';
import { createLogLines } from '../support/log-lines.ts';
import { createTestDatabase } from '../support/test-database.ts';

const NEVER = new AbortController().signal;

test('a database that is there is not waited for, and nothing is said', async () => {
  const { log, lines } = createLogLines();
  await awaitDatabase({ url: inject('templateUrl'), log, signal: NEVER });
  expect(lines.all).toEqual([]);
});

test('a server that starts up is waited for, and that is said once', async () => {
  const { log, lines } = createLogLines();
  const server = await startRefusingServer('57P03', 'the database system is starting up');
  const waiting = awaitDatabase({ url: server.url, log, signal: NEVER });
  await server.refused(3);
  expect(lines.all.map(({ level, msg }) => [level, msg])).toEqual([
    ['warn', `waits for the database at ${server.host}: the database system is starting up`],
  ]);
  server.letPass();
  await expect(waiting).resolves.toBeUndefined();
  expect(lines.all.at(-1)?.msg).toBe('the database is there');
});

test('an account that the server refuses is an error in the log, again and again, and is tried on', async () => {
  const { log, lines } = createLogLines();
  const server = await startRefusingServer('28P01', 'password authentication failed for user "u"');
  const waiting = awaitDatabase({ url: server.url, log, signal: NEVER, remindMs: 0 });
  const told = await lines.takeMany(2);
  for (const { level, msg } of told) {
    expect(level).toBe('error');
    expect(msg).toMatch(/refuses the account of DATABASE_URL: password authentication failed/);
    expect(msg).not.toContain('secret');
  }
  server.letPass();
  await waiting;
});

test('an account that the server refuses is an error in the log once in half a minute', async () => {
  const { log, lines } = createLogLines();
  const server = await startRefusingServer('28000', 'no pg_hba.conf entry');
  const waiting = awaitDatabase({ url: server.url, log, signal: NEVER });
  await server.refused(3);
  expect(lines.all).toHaveLength(1);
  server.letPass();
  await waiting;
});

test('a database that does not exist is waited for, and for its migrations too', async () => {
  const { log, lines } = createLogLines();
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  await drop();
  const known = await migrationNames();
  const check = (sql: Sql) => requireCurrentSchema(sql, known);
  const waiting = awaitDatabase({ url, check, log, signal: NEVER });
  expect((await lines.take()).msg).toMatch(/which does not exist: `make migrate` creates it$/);
  await ensureDatabase(url);
  expect((await lines.take()).msg).toMatch(/^waits for the database to be migrated: .* lacks/);
  await applyMigrations({ databaseUrl: url, log: { info: () => {} } });
  await waiting;
});

test('a database that does not exist is there for who creates it', async () => {
  const url = withDatabase(inject('templateUrl'), 'no_such_database');
  const { log } = createLogLines();
  await awaitDatabase({ url, missingIsFine: true, log, signal: NEVER });
});

test('a schema that does not fit is not waited for', async () => {
  const { log } = createLogLines();
  const check = (sql: Sql) => requireCurrentSchema(sql, ['20990101000000_a']);
  const waiting = awaitDatabase({ url: inject('templateUrl'), check, log, signal: NEVER });
  await expect(waiting).rejects.toThrow(/^The database lacks the migration/);
});

test('a silent server keeps nobody who is told to stop', async () => {
  const { log } = createLogLines();
  const silent = createServer();
  const sockets = new Set<Socket>();
  silent.on('connection', (socket) => sockets.add(socket));
  const { url } = await listen(silent);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const stopping = new AbortController();
  const waiting = awaitDatabase({ url, log, signal: stopping.signal });
  await once(silent, 'connection');
  const reason = new Error('told to stop');
  stopping.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

/** Refuses every login with an error of PostgreSQL's, until it is told to let them pass to the real server. */
async function startRefusingServer(code: string, message: string) {
  const target = new URL(inject('templateUrl'));
  let passing = false;
  let refusals = 0;
  const sockets = new Set<Socket>();
  const waiters = new Set<() => void>();
  const server = createServer(async (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (passing) {
      const upstream = connect(Number(target.port), target.hostname);
      sockets.add(upstream);
      upstream.on('error', () => {});
      socket.pipe(upstream).pipe(socket);
      return;
    }
    await once(socket, 'data');
    socket.end(errorResponse({ S: 'FATAL', C: code, M: message }));
    refusals += 1;
    for (const wake of waiters) wake();
  });
  const { url, host } = await listen(server);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url,
    host,
    letPass() {
      passing = true;
    },
    /** Resolves when so many logins have been refused. */
    async refused(count: number) {
      while (refusals < count) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.add(resolve);
        await promise;
        waiters.delete(resolve);
      }
    },
  };
}

/** @returns the template database's URL, but at this server and with a password that must not be told */
async function listen(server: ReturnType<typeof createServer>) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('It listens on no port.');
  const url = new URL(inject('templateUrl'));
  url.host = `127.0.0.1:${address.port}`;
  if (url.password === '') url.password = 'secret';
  return { url: url.href, host: url.host };
}

function errorResponse(fields: Record<string, string>): Buffer {
  const body = Object.entries(fields).map(([field, text]) => `${field}${text}\0`);
  const content = Buffer.from(`${body.join('')}\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

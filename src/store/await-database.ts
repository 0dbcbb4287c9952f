import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { databaseUnavailable } from './database-errors.ts';
import { databaseName } from './database-url.ts';
import { SchemaRefused } from './schema-version.ts';
import type { Sql } from './sql.ts';

/**
 * Resolves when the database is there and `check` is content with it.
 *
 * Until then it tries again and again, with a line in the log for what it waits for. It asks over connections of its
 * own, so that giving up need not wait for a server that is silent.
 * @param check may throw SchemaRefused; a database that was created meanwhile gets some time to be migrated
 * @param missingIsFine whether the caller creates the database when there is none
 * @param remindMs how often it says again that the server refuses the account, which hardly passes by itself
 * @throws what `check` throws and waiting does not change; the signal's reason once that is aborted
 */
export async function awaitDatabase({
  url,
  check = ping,
  missingIsFine = false,
  log,
  signal,
  remindMs = 30_000,
}: {
  url: string;
  check?: (sql: Sql) => Promise<void>;
  missingIsFine?: boolean;
  log: Logger;
  signal: AbortSignal;
  remindMs?: number;
}): Promise<void> {
  const tell = createTeller({ url, log, remindMs });
  let wasMissingAt: number | undefined;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      await unlessAborted(tryOnce(url, check), signal);
      return tell.end();
    } catch (error) {
      const trouble = troubleOf(error);
      if (signal.aborted || trouble === undefined) throw error;
      if (trouble === 'MISSING' && missingIsFine) return tell.end();
      if (trouble === 'MISSING') wasMissingAt = performance.now();
      if (trouble === 'UNMIGRATED' && !isRecent(wasMissingAt)) throw error;
      tell.of(trouble, error);
    }
    await unlessAborted(sleep(waitMs), signal);
  }
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 5_000;
/** How long after its creation a database may be without its migrations. */
const MIGRATED_WITHIN_MS = 60_000;

type Trouble = 'AWAY' | 'MISSING' | 'NOT_ALLOWED' | 'UNMIGRATED';

async function ping(sql: Sql): Promise<void> {
  await sql.run({ text: 'select 1' });
}

async function tryOnce(url: string, check: (sql: Sql) => Promise<void>): Promise<void> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    application_name: 'async-task-manager',
  });
  // Without a listener an idle connection that breaks would end the process.
  pool.on('error', () => {});
  try {
    await check({
      run: async (statement, values = []) =>
        (await pool.query({ ...statement, values: [...values] })).rows,
    });
  } finally {
    // Not waited for: a server that is silent does not say goodbye either.
    void pool.end();
  }
}

/** What may pass by itself; undefined for anything else. */
function troubleOf(error: unknown): Trouble | undefined {
  if (error instanceof SchemaRefused) return error.isBehind ? 'UNMIGRATED' : undefined;
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  const known = code === undefined ? undefined : TROUBLES[code];
  return known ?? (databaseUnavailable(error) === undefined ? undefined : 'AWAY');
}

const TROUBLES: Readonly<Record<string, Trouble>> = {
  '3D000': 'MISSING', // invalid_catalog_name
  '28P01': 'NOT_ALLOWED', // invalid_password
  '28000': 'NOT_ALLOWED', // invalid_authorization_specification
};

function isRecent(moment: number | undefined): boolean {
  return moment !== undefined && performance.now() - moment < MIGRATED_WITHIN_MS;
}

/** Says once what the matter is, until something else is. */
function createTeller({ url, log, remindMs }: { url: string; log: Logger; remindMs: number }) {
  let last: Trouble | undefined;
  let toldAt = 0;
  return {
    of(trouble: Trouble, error: unknown) {
      const isDue = trouble === 'NOT_ALLOWED' && performance.now() - toldAt >= remindMs;
      if (trouble === last && !isDue) return;
      last = trouble;
      toldAt = performance.now();
      const line = SENTENCES[trouble](url, reasonOf(error));
      if (trouble === 'NOT_ALLOWED') log.error(line);
      else log.warn(line);
    },
    end() {
      if (last !== undefined) log.info('the database is there');
    },
  };
}

const SENTENCES: Readonly<Record<Trouble, (url: string, reason: string) => string>> = {
  AWAY: (url, reason) => `waits for the database at ${hostOf(url)}: ${reason}`,
  MISSING: (url) =>
    `waits for the database "${databaseName(url)}" at ${hostOf(url)}, which does not exist: \`make migrate\` creates it`,
  NOT_ALLOWED: (url, reason) =>
    `waits for the database at ${hostOf(url)}, which refuses the account of DATABASE_URL: ${reason}`,
  UNMIGRATED: (_url, reason) => `waits for the database to be migrated: ${reason}`,
};

/** Without the account, which may hold a password. */
function hostOf(url: string): string {
  return new URL(url).host;
}

function reasonOf(error: unknown): string {
  // Node's failure to reach any of several addresses has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** What `work` resolves to. @throws the signal's reason as soon as that is aborted */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

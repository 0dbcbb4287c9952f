import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import pg from 'pg';
import { withDatabase } from './database-url.ts';

/** The schema engine's way to PostgreSQL, and the release of all that it opened. */
export interface MigrationAdapter extends SqlMigrationAwareDriverAdapterFactory {
  dropShadowDatabases(): Promise<void>;
  close(): Promise<void>;
}

/**
 * `PrismaPg` made fit for migrations, where as of 7.10 it falls short:
 * - it runs each query on any connection of a pool, while an advisory lock belongs to one session: here, one connection;
 * - it cuts scripts at every semicolon, those in comments and function bodies too, and runs the pieces one by one:
 *   here a script goes to the server whole, which makes it one transaction, as with the native engine;
 * - it refuses columns of PostgreSQL's internal type "char", which the catalogue is full of: here they pass;
 * - its shadow database is the real one whenever a connection string is given: here it is one of its own.
 */
export function createMigrationAdapter(databaseUrl: string | undefined): MigrationAdapter {
  const open = new Set<SqlDriverAdapter>();
  const shadows = new Set<SqlDriverAdapter>();

  async function connect(url: string, release: () => Promise<void>): Promise<SqlDriverAdapter> {
    const pool = new pg.Pool({
      connectionString: url,
      max: 1,
      idleTimeoutMillis: 0,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    const adapter = await new PrismaPg(pool).connect();
    acceptChars(pool, adapter);
    adapter.executeScript = async (script) => {
      // Without arguments this is PostgreSQL's simple protocol, which takes any number of statements.
      await adapter.executeRaw({ sql: script, args: [], argTypes: [] });
    };
    let disposed: Promise<void> | undefined;
    adapter.dispose = () => {
      disposed ??= pool.end().then(release);
      return disposed;
    };
    open.add(adapter);
    return adapter;
  }

  function requireUrl(): string {
    if (databaseUrl) return databaseUrl;
    throw new Error('This needs a database: set DATABASE_URL (postgresql://…).');
  }

  async function dropShadowDatabases() {
    for (const shadow of shadows) await shadow.dispose();
    shadows.clear();
  }

  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: () => connect(requireUrl(), async () => {}),
    async connectToShadowDb() {
      const url = requireUrl();
      const name = `prisma_migrate_shadow_db_${randomUUID()}`;
      await runOnce(url, `create database "${name}"`);
      const shadow = await connect(withDatabase(url, name), () =>
        runOnce(url, `drop database if exists "${name}"`),
      );
      shadows.add(shadow);
      return shadow;
    },
    dropShadowDatabases,
    async close() {
      await dropShadowDatabases();
      for (const adapter of open) await adapter.dispose();
      open.clear();
    },
  };
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Type ids of PostgreSQL's one-byte "char", and of text. */
const CHAR = 18;
const TEXT = 25;

/** Passes "char" off as text to `PrismaPg`, then tells the engine, which insists on it, what it really was. */
function acceptChars(pool: pg.Pool, adapter: SqlDriverAdapter) {
  const charsOf = new WeakMap<object, number[]>();
  const query = pool.query.bind(pool);
  Object.assign(pool, {
    async query(config: pg.QueryArrayConfig) {
      const result = await query(config);
      // A script gives one result for each of its statements.
      for (const { fields, rows } of [result].flat()) {
        const chars = [...fields.keys()].filter((i) => fields[i]?.dataTypeID === CHAR);
        charsOf.set(rows, chars);
        for (const field of fields) if (field.dataTypeID === CHAR) field.dataTypeID = TEXT;
      }
      return result;
    },
  });
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (sql) => {
    const result = await queryRaw(sql);
    for (const i of charsOf.get(result.rows) ?? []) {
      result.columnTypes[i] = ColumnTypeEnum.Character;
    }
    return result;
  };
}

async function runOnce(url: string, sql: string) {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

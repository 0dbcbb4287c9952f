import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from 'pino';
import { PrismaClient } from '../generated/prisma/client.ts';
import { databaseUnavailable } from './database-errors.ts';

/** A statement. PostgreSQL prepares it once per connection when it has a name. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** Where statements run: any connection of the pool, or the one of a transaction. */
export interface Sql {
  /** @throws AppError SERVICE_UNAVAILABLE when the database cannot be reached or stays silent */
  run<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

export interface Database extends Sql {
  /** For what is read through the GraphQL graph. Shares the pool. */
  readonly prisma: PrismaClient;
  /** Commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Whether it answers right now. */
  isReachable(): Promise<boolean>;
  close(): Promise<void>;
}

/** How long a refused, lost or silent server may keep a caller waiting. */
const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 8_000;
const PING_TIMEOUT_MS = 1_500;

/** Connects lazily: a server that is away makes statements fail, not this call. */
export function openDatabase(options: { url: string; log: Logger; poolSize?: number }): Database {
  let closing = false;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize ?? 20,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'async-task-manager',
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => {
    if (!closing) options.log.warn({ err: error }, 'lost a database connection');
  });
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });

  async function run<Row extends object>(
    on: pg.Pool | pg.PoolClient,
    statement: Statement,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    try {
      const { rows } = await on.query<Row>({ ...statement, values: [...values] });
      return rows;
    } catch (error) {
      throw databaseUnavailable(error) ?? error;
    }
  }

  return {
    prisma,
    run: (statement, values) => run(pool, statement, values),
    async transaction(work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw databaseUnavailable(error) ?? error;
      });
      let broken: Error | undefined;
      try {
        await run(client, BEGIN);
        const result = await work({ run: (statement, values) => run(client, statement, values) });
        await run(client, COMMIT);
        return result;
      } catch (error) {
        await client.query('rollback').catch((cause: Error) => {
          broken = cause;
        });
        throw error;
      } finally {
        // A connection on which even the rollback failed must not go back to the pool.
        client.release(broken);
      }
    },
    async isReachable() {
      const timeout = new Promise<false>((resolve) => {
        setTimeout(resolve, PING_TIMEOUT_MS, false).unref();
      });
      const ping = pool.query('select 1').then(
        () => true,
        () => false,
      );
      return Promise.race([ping, timeout]);
    },
    async close() {
      closing = true;
      await prisma.$disconnect();
      await pool.end();
    },
  };
}

const BEGIN: Statement = { name: 'begin', text: 'begin' };
const COMMIT: Statement = { name: 'commit', text: 'commit' };

import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from 'pino';
import { serviceUnavailable } from '../domain/errors.ts';
import { PrismaClient } from '../generated/prisma/client.ts';
import { databaseUnavailable, isStatementsOwn } from './database-errors.ts';
import { createRunTogether } from './run-together.ts';
import type { Sql, Statement } from './sql.ts';
import { TIME_ZONE, typeParsers } from './timestamps.ts';
import { createInTransaction } from './transaction.ts';

export interface Database extends Required<Sql> {
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
/**
 * How long the server lets a statement run, or a transaction wait for its client. Less than what the client waits for:
 * what it has given up must not be committed later. And a process that is stopped must not keep its row locks.
 */
export const STATEMENT_TIMEOUT_MS = 7_500;
export const IDLE_TRANSACTION_TIMEOUT_MS = 10_000;
/**
 * Plans are kept for as long as a connection lives, also those that were made when a table was small. All that is asked
 * here has an index, so a table is never read from end to end for want of statistics. And nothing here is worth compiling.
 */
const PLANNING = '-c enable_seqscan=off -c jit=off';
/** Who stores texts leaves it to `search-index.ts` to sort them in, unless nobody does. */
const STORING = '-c gin_pending_list_limit=64MB';
const PING_TIMEOUT_MS = 1_500;

/** Connects lazily: a server that is away makes statements fail, not this call. */
export function openDatabase(options: { url: string; log: Logger; poolSize?: number }): Database {
  let closing = false;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize ?? 20,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'async-task-manager',
    options: `${PLANNING} ${STORING} ${TIME_ZONE}`,
    types: typeParsers,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => {
    if (!closing) options.log.warn({ err: error }, 'lost a database connection');
  });
  // The pool listens to idle connections only. One that is handed to whoever waits for it has no listener until that one
  // runs, and what the server says in between would end the process as well.
  pool.on('connect', (client) => client.on('error', () => {}));
  const inTransaction = createInTransaction();
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });

  function runOn(client: pg.PoolClient): Sql['run'] {
    return async <Row extends object>(statement: Statement, values: readonly unknown[] = []) => {
      try {
        const { rows } = await client.query<Row>({ ...statement, values: [...values] });
        return rows;
      } catch (error) {
        throw databaseUnavailable(error) ?? error;
      }
    };
  }

  /** Why ever it lets nobody in: it is not there for us. */
  function connect(): Promise<pg.PoolClient> {
    return pool.connect().catch((error: unknown) => {
      throw serviceUnavailable('The database', error);
    });
  }

  async function run<Row extends object>(
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<Row[]> {
    const client = await connect();
    let broken: Error | undefined;
    try {
      return await runOn(client)<Row>(statement, values);
    } catch (error) {
      if (!isStatementsOwn(error))
        broken = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      // One that is broken must not go back to the pool, nor one on which a prepared statement is of no use any more.
      client.release(broken);
    }
  }

  return {
    prisma,
    run,
    runTogether: createRunTogether({ connect, runOn, inTransaction }),
    async transaction(work) {
      const client = await connect();
      return inTransaction(client, runOn(client), work);
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

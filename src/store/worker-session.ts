import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { LOCK_SPACE } from './workers.ts';

/** A database session that stands for a worker process: PostgreSQL notices at once when the process is gone. */
export interface WorkerSession {
  close(): Promise<void>;
}

const RECONNECT_MS = 500;
const CLOSE_TIMEOUT_MS = 1_000;
/** A link that is dead without saying so, as after a failover, holds no lock any more. */
const ASK_EVERY_MS = 3_000;
const ANSWER_TIMEOUT_MS = 5_000;
/**
 * How long the server lets it wait for the lock, which a connection that is dead without saying so may hold for hours. Less
 * than what is waited for here: who waits for a lock does not notice that its client has gone.
 */
const LOCK_TIMEOUT_MS = 4_500;

/**
 * Holds the worker's advisory lock on a connection of its own, and takes it again on a new one when that breaks.
 * Nobody waits for it: until it holds, the worker's heartbeats alone speak for it.
 */
export function openWorkerSession(options: {
  url: string;
  lockKey: string;
  log: Logger;
}): WorkerSession {
  const { url, lockKey, log } = options;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function connect() {
    timer = undefined;
    const session = new pg.Client({
      connectionString: url,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: ANSWER_TIMEOUT_MS,
      statement_timeout: LOCK_TIMEOUT_MS,
      application_name: 'async-task-manager worker',
    });
    client = session;
    session.on('error', (error) => {
      log.debug({ err: error }, 'the worker session broke');
      reconnect(session);
    });
    session.on('end', () => reconnect(session));
    try {
      await session.connect();
      await session.query('select pg_advisory_lock($1::int, $2::int)', [LOCK_SPACE, lockKey]);
      while (client === session && !closed) {
        await sleep(ASK_EVERY_MS, undefined, { ref: false });
        await session.query('select 1');
      }
    } catch (error) {
      log.debug({ err: error }, 'the worker session does not answer');
      reconnect(session);
    }
  }

  function reconnect(broken: pg.Client) {
    if (closed || client !== broken) return;
    client = undefined;
    broken.end().catch(() => {});
    timer ??= setTimeout(connect, RECONNECT_MS);
  }

  void connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      const ending = client?.end().catch(() => {});
      // A server that is silent does not answer a goodbye either.
      await Promise.race([ending, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    },
  };
}

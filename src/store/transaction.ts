import type pg from 'pg';
import { databaseUnavailable } from './database-errors.ts';
import type { Sql, Statement } from './sql.ts';

/**
 * Runs `work` on one connection: commits when it resolves, rolls back when it throws.
 *
 * @param run how a statement runs on that connection
 */
export async function inTransaction<T>(
  client: pg.PoolClient,
  run: Sql['run'],
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  let broken: Error | undefined;
  // The pool listens only to its idle connections, and while `work` waits for something else nobody listens to this
  // one: an error that the server sends then would end the process.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await run(BEGIN);
    const result = await work({ run });
    await run(COMMIT);
    return result;
  } catch (error) {
    // A server that did not answer would only keep us waiting again; dropping the connection rolls back as well.
    const unavailable = databaseUnavailable(error);
    if (unavailable !== undefined) broken ??= unavailable;
    else await client.query('rollback').catch(onError);
    throw error;
  } finally {
    client.off('error', onError);
    // A broken connection must not go back to the pool.
    client.release(broken);
  }
}

const BEGIN: Statement = { name: 'begin', text: 'begin' };
const COMMIT: Statement = { name: 'commit', text: 'commit' };

import type pg from 'pg';
import { databaseUnavailable } from './database-errors.ts';
import { runInOneTrip } from './one-trip.ts';
import type { Sql, Statement } from './sql.ts';

/** Runs `work` on one connection: commits when it resolves, rolls back when it throws. */
export type InTransaction = <T>(
  client: pg.PoolClient,
  run: Sql['run'],
  work: (sql: Sql) => Promise<T>,
) => Promise<T>;

/**
 * Transactions that cost one round trip less than they have statements: from the second one of a connection on, the first
 * statement takes `BEGIN` along. One that runs no statement asks nothing of the server.
 */
export function createInTransaction(): InTransaction {
  /** Connections on which `BEGIN` is prepared. */
  const prepared = new WeakSet<pg.PoolClient>();

  return async (client, run, work) => {
    let broken: Error | undefined;
    let begun = false;
    // The pool listens only to its idle connections, and while `work` waits for something else nobody listens to this
    // one: an error that the server sends then would end the process.
    const onError = (error: Error) => {
      broken = error;
    };
    client.on('error', onError);

    async function runWithin<Row extends object>(
      statement: Statement,
      values: readonly unknown[] = [],
    ): Promise<Row[]> {
      if (begun) return run<Row>(statement, values);
      begun = true;
      if (prepared.has(client)) {
        const begin = { statement: BEGIN, values: [] };
        return runInOneTrip(client, [begin], { statement, values }).then(
          ([_begun, rows]) => (rows ?? []) as Row[],
          (error: unknown) => {
            throw databaseUnavailable(error) ?? error;
          },
        );
      }
      await run(BEGIN);
      prepared.add(client);
      return run<Row>(statement, values);
    }

    try {
      const result = await work({ run: runWithin });
      if (begun) await run(COMMIT);
      return result;
    } catch (error) {
      // A server that did not answer would only keep us waiting again; dropping the connection rolls back as well.
      const unavailable = databaseUnavailable(error);
      if (unavailable !== undefined) broken ??= unavailable;
      else if (begun) await client.query('rollback').catch(onError);
      throw error;
    } finally {
      client.off('error', onError);
      // A broken connection must not go back to the pool.
      client.release(broken);
    }
  };
}

const BEGIN: Statement = { name: 'begin', text: 'begin' };
const COMMIT: Statement = { name: 'commit', text: 'commit' };

import type pg from 'pg';
import { databaseUnavailable } from './database-errors.ts';
import { runInOneTrip } from './one-trip.ts';
import type { Request, Sql } from './sql.ts';
import type { InTransaction } from './transaction.ts';

/** See `Sql.runTogether`. One round trip from the second time on that a connection is asked for the same statements. */
export function createRunTogether(options: {
  connect: () => Promise<pg.PoolClient>;
  runOn: (client: pg.PoolClient) => Sql['run'];
  inTransaction: InTransaction;
}): NonNullable<Sql['runTogether']> {
  const { connect, runOn, inTransaction } = options;
  /** The names of the statements that a connection has run. */
  const known = new WeakMap<pg.PoolClient, Set<string | undefined>>();

  return async (requests) => {
    const client = await connect();
    const names = known.get(client) ?? new Set();
    const last = requests.at(-1);
    if (last !== undefined && requests.every(({ statement }) => names.has(statement.name))) {
      return runAndRelease(client, requests.slice(0, -1), last);
    }
    const rows = await inTransaction(client, runOn(client), (tx) => oneByOne(tx, requests));
    known.set(client, new Set([...names, ...requests.map(({ statement }) => statement.name)]));
    return rows;
  };
}

async function runAndRelease(
  client: pg.PoolClient,
  earlier: readonly Request[],
  last: Request,
): Promise<object[][]> {
  let broken: Error | undefined;
  try {
    return await runInOneTrip(client, earlier, last);
  } catch (error) {
    broken = databaseUnavailable(error);
    throw broken ?? error;
  } finally {
    // A broken connection must not go back to the pool.
    client.release(broken);
  }
}

async function oneByOne(tx: Sql, requests: readonly Request[]): Promise<object[][]> {
  const rows: object[][] = [];
  for (const { statement, values } of requests) rows.push(await tx.run(statement, values));
  return rows;
}

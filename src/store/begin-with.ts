import pg from 'pg';
import type { Statement } from './sql.ts';

/**
 * Begins a transaction and runs its first statement, in one round trip. Both are sent before one `Sync`: if the first
 * fails, PostgreSQL skips the second, which therefore never runs outside a transaction (see "Pipelining" in the chapter on
 * PostgreSQL's message flow).
 *
 * @param client has run `BEGIN` by its name before, so that PostgreSQL knows it
 */
export async function beginWith<Row extends object>(
  client: pg.PoolClient,
  statement: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  const results = await new Promise<readonly pg.QueryResult<Row>[]>((resolve, reject) => {
    // With two statements there are two results; pg's types know of one.
    function onResults(error: Error | undefined, both: unknown): void {
      if (error) reject(error);
      else resolve(both as readonly pg.QueryResult<Row>[]);
    }
    client.query(new BeginWith({ ...statement, values: [...values] }, onResults));
  });
  return results.at(-1)?.rows ?? [];
}

export const BEGIN = { name: 'begin', text: 'begin' } as const satisfies Statement;

class BeginWith extends pg.Query {
  override submit = (connection: pg.Connection): void => {
    connection.stream.cork();
    connection.bind({ statement: BEGIN.name, values: [] }, true);
    connection.execute({}, true);
    pg.Query.prototype.submit.call(this, connection);
    connection.stream.uncork();
  };
}

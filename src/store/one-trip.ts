import pg from 'pg';
import type { Request, Statement } from './sql.ts';

/**
 * Runs statements in one round trip and, outside a transaction, in one of their own. All are sent before one `Sync`: when
 * one fails, PostgreSQL skips those after it and undoes those before it (see "Pipelining" in the chapter on its message
 * flow). So nothing that comes after a `begin` runs outside of what that begins.
 *
 * @param client has run the earlier ones by their names before, so that PostgreSQL knows them
 * @returns the rows of each
 */
export async function runInOneTrip(
  client: pg.PoolClient,
  earlier: readonly Request[],
  last: { statement: Statement; values: readonly unknown[] },
): Promise<object[][]> {
  const results = await new Promise<pg.QueryResult<object>[]>((resolve, reject) => {
    // Of several statements there are as many results; pg's types know of one.
    function onResults(error: Error | undefined, all: unknown): void {
      if (error) reject(error);
      else resolve([all].flat() as pg.QueryResult<object>[]);
    }
    const { statement, values } = last;
    const query = new InOneTrip({ ...statement, values: [...values] }, onResults);
    query.earlier = earlier;
    client.query(query);
  });
  return results.map(({ rows }) => rows);
}

class InOneTrip extends pg.Query {
  earlier: readonly Request[] = [];

  override submit = (connection: pg.Connection): void => {
    connection.stream.cork();
    for (const { statement, values } of this.earlier) {
      connection.bind({ statement: statement.name ?? '', values: [...values] }, true);
      connection.describe({ type: 'P' }, true);
      connection.execute({}, true);
    }
    pg.Query.prototype.submit.call(this, connection);
    connection.stream.uncork();
  };
}

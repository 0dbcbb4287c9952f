import { serviceUnavailable } from '../../src/domain/errors.ts';
import type { Sql } from '../../src/store/sql.ts';

/** A way to the database that counts, fails and waits as the test likes. */
export interface FallibleSql extends Sql {
  /** The statements that were run, by name or text. */
  readonly statements: readonly string[];
  /** Fails as if the database was away while it lasts. */
  fail(): { end(): void };
  /** Lets statements wait while it lasts. */
  hold(): { end(): void };
}

export function createFallibleSql(sql: Sql): FallibleSql {
  const statements: string[] = [];
  const failures = new Set<object>();
  let held: Promise<void> | undefined;
  return {
    statements,
    async run(statement, values) {
      statements.push(statement.name ?? statement.text);
      await held;
      if (failures.size > 0) throw serviceUnavailable('The database', new Error('cut off'));
      return sql.run(statement, values);
    },
    fail() {
      const failure = { end: () => void failures.delete(failure) };
      failures.add(failure);
      return failure;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return { end: resolve };
    },
  };
}

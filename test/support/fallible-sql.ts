import { serviceUnavailable } from '../../src/domain/errors.ts';
import type { Sql, Statement } from '../../src/store/sql.ts';

/** A way to the database that counts, fails and waits as the test likes. */
export interface FallibleSql extends Sql {
  /** The statements that were run, by name or text. */
  readonly statements: readonly string[];
  /** Fails as if the database was away while it lasts. */
  fail(): { end(): void };
  /** Lets statements wait while it lasts: all, or those of this name. */
  hold(name?: string): { end(): void };
  /** Lets their answers wait: what they saw grows old. */
  holdAnswers(): { end(): void };
}

export function createFallibleSql(sql: Sql): FallibleSql {
  const statements: string[] = [];
  const failures = new Set<object>();
  let held: { name: string | undefined; until: Promise<void> } | undefined;
  let heldBack: Promise<void> | undefined;
  return {
    statements,
    async run<Row extends object>(statement: Statement, values?: readonly unknown[]) {
      statements.push(statement.name ?? statement.text);
      if (held?.name === undefined || held.name === statement.name) await held?.until;
      if (failures.size > 0) throw serviceUnavailable('The database', new Error('cut off'));
      const rows = await sql.run<Row>(statement, values);
      await heldBack;
      return rows;
    },
    fail() {
      const failure = { end: () => void failures.delete(failure) };
      failures.add(failure);
      return failure;
    },
    hold(name) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = { name, until: promise };
      return { end: resolve };
    },
    holdAnswers() {
      const { promise, resolve } = Promise.withResolvers<void>();
      heldBack = promise;
      return { end: resolve };
    },
  };
}

import pg from 'pg';
import type { Sql, Statement } from './sql.ts';

/** The schema does not fit this code. The message says what to run. */
export class SchemaRefused extends Error {
  override readonly name = 'SchemaRefused';
  /** Whether migrating the database with this code could help. */
  readonly isBehind: boolean;

  constructor(message: string, options: { isBehind: boolean }) {
    super(message);
    this.isBehind = options.isBehind;
  }
}

/**
 * Compares the migrations that the code knows with those that the database has had. Meant for the start of a process:
 * one that runs already goes on when a deployment migrates the database under it.
 * @param known as `migrationNames` has them
 * @throws SchemaRefused when one side has more than the other, or a migration has not come to its end
 */
export async function requireCurrentSchema(sql: Sql, known: readonly string[]): Promise<void> {
  const history = await readHistory(sql);
  const applied = new Set(history.filter(({ finished }) => finished).map(({ name }) => name));
  const unfinished = history.map(({ name }) => name).filter((name) => !applied.has(name));
  const lacking = known.filter((name) => !applied.has(name) && !unfinished.includes(name));
  const unknown = [...applied].filter((name) => !known.includes(name));
  const problems = [
    ...(unfinished.length > 0 ? [UNFINISHED(unfinished.join(', '))] : []),
    ...(lacking.length > 0 ? [LACKING(lacking.join(', '))] : []),
    ...(unknown.length > 0 ? [UNKNOWN(unknown.join(', '))] : []),
  ];
  if (problems.length === 0) return;
  throw new SchemaRefused(problems.join(' '), { isBehind: unknown.length === 0 });
}

const UNFINISHED = (names: string) =>
  `The migration ${names} failed, or is still being applied: \`make migrate\` waits for it, or says what to do.`;
const LACKING = (names: string) =>
  `The database lacks the migration(s) ${names}: run \`make migrate\` first.`;
const UNKNOWN = (names: string) =>
  `The database was migrated by a newer version (${names}): deploy that version.`;

/** What was begun and not rolled back. A migration that was tried again is in there more than once. */
async function readHistory(sql: Sql): Promise<{ name: string; finished: boolean }[]> {
  try {
    return await sql.run(HISTORY);
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === UNDEFINED_TABLE) return [];
    throw error;
  }
}

const UNDEFINED_TABLE = '42P01';

const HISTORY: Statement = {
  text: `
select migration_name as name, finished_at is not null as finished
from _prisma_migrations
where rolled_back_at is null
order by migration_name`,
};

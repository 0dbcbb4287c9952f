import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {
  MigrationDirectory,
  MigrationList,
} from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { Logger } from 'pino';
import { ensureDatabase } from './ensure-database.ts';
import { openSchemaEngine } from './schema-engine.ts';

/**
 * Brings the database up to date, creating it if need be, and resolves to the names of the migrations it applied.
 *
 * Does what `prisma migrate deploy` does, with the same history table: each takes up where the other has left off.
 * Several processes at once take turns (Prisma's advisory lock); a migration is one transaction.
 * @param directory where the migrations are; the project's own unless a test says otherwise
 * @throws MigrationFailed with what to do about it
 */
export async function applyMigrations({
  databaseUrl,
  log,
  directory = MIGRATIONS,
}: {
  databaseUrl: string;
  log: Pick<Logger, 'info'>;
  directory?: string;
}): Promise<string[]> {
  const migrationsList = await readMigrations(directory);
  await using schemaEngine = await open(databaseUrl);
  const { appliedMigrationNames: migrations } = await schemaEngine.engine
    .applyMigrations({ migrationsList, filters: { externalTables: [], externalEnums: [] } })
    .catch((error: unknown) => {
      throw explain(error);
    });
  if (migrations.length > 0) log.info({ migrations }, 'migrated the database');
  return migrations;
}

/** A migration could not be applied. The message says what the person in charge can do. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed';
}

/** The same place seen from src/store and from dist/store. */
const MIGRATIONS = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

async function readMigrations(baseDir: string): Promise<MigrationList> {
  const entries = await readdir(baseDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return {
    baseDir,
    lockfile: { path: LOCKFILE, content: await readFile(join(baseDir, LOCKFILE), 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(names.sort().map((name) => readOne(baseDir, name))),
  };
}

const LOCKFILE = 'migration_lock.toml';

async function readOne(baseDir: string, name: string): Promise<MigrationDirectory> {
  const value = await readFile(join(baseDir, name, 'migration.sql'), 'utf8');
  return { path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } } };
}

async function open(databaseUrl: string) {
  const start = () => openSchemaEngine({ databaseUrl });
  const opened = await start().catch(async (error: unknown) => {
    if (!/^Database `.*` does not exist/.test(messageOf(error))) throw error;
    await ensureDatabase(databaseUrl);
    return start();
  });
  return { engine: opened.engine, [Symbol.asyncDispose]: opened.close };
}

/** What to do, by Prisma's code for what is wrong: https://www.prisma.io/docs/orm/reference/error-reference */
const REMEDIES: Readonly<Record<string, string>> = {
  P3005:
    'The database holds tables that no migration has made. Use an empty database; or, if they are this ' +
    'schema, say so with `npx prisma migrate resolve --applied <migration>`.',
  P3009:
    'Nothing of it remains, since a migration is one transaction. Find the reason in the column logs of the table ' +
    '_prisma_migrations, put it right, then run `npx prisma migrate resolve --rolled-back <migration>` and start again.',
};
const REMEDY_FOR_BAD_SQL =
  'Nothing of it remains, since a migration is one transaction. Put the reason right, then run ' +
  '`npx prisma migrate resolve --rolled-back <migration>` and start again.';

function explain(error: unknown): MigrationFailed {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = messageOf(error);
  const migration =
    /migration_name="([^"]+)"|^The `([^`]+)` migration/m.exec(message)?.slice(1).join('') ?? '';
  // The engine appends a trace of its own calls.
  const reason = message.replace(/\n\s+0: [\s\S]*/, '').trim();
  const remedy = (REMEDIES[code] ?? REMEDY_FOR_BAD_SQL).replace('<migration>', migration || '$&');
  return new MigrationFailed(`The migration ${migration} failed: ${reason}\n${remedy}`, {
    cause: error,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {
  MigrationDirectory,
  MigrationList,
  SchemaEngine,
} from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { Logger } from 'pino';
import { ensureDatabase } from './ensure-database.ts';

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
  log: Log;
  directory?: string;
}): Promise<string[]> {
  const migrationsList = await readMigrations(directory);
  await using schemaEngine = await open(databaseUrl);
  const migrations = await apply(schemaEngine.engine, migrationsList, log);
  if (migrations.length > 0) log.info({ migrations }, 'migrated the database');
  return migrations;
}

type Log = Pick<Logger, 'info'>;

/** A migration could not be applied. The message says what the person in charge can do. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed';
}

/** The names of the migrations that this code knows, oldest first. */
export async function migrationNames(directory = MIGRATIONS): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

/** The same place seen from src/store and from dist/store. */
const MIGRATIONS = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

async function readMigrations(baseDir: string): Promise<MigrationList> {
  const names = await migrationNames(baseDir);
  return {
    baseDir,
    lockfile: { path: LOCKFILE, content: await readFile(join(baseDir, LOCKFILE), 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(names.map((name) => readOne(baseDir, name))),
  };
}

const LOCKFILE = 'migration_lock.toml';

async function readOne(baseDir: string, name: string): Promise<MigrationDirectory> {
  const value = await readFile(join(baseDir, name, 'migration.sql'), 'utf8');
  return { path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } } };
}

async function open(databaseUrl: string) {
  // Only here, since most processes never migrate, and it takes 10 MB.
  const { openSchemaEngine } = await import('./schema-engine.ts');
  const start = () => openSchemaEngine({ databaseUrl });
  const opened = await start().catch(async (error: unknown) => {
    if (!/^Database `.*` does not exist/.test(messageOf(error))) throw error;
    await ensureDatabase(databaseUrl);
    return start();
  });
  return { engine: opened.engine, [Symbol.asyncDispose]: opened.close };
}

/** The engine gives up on the lock after ten seconds, which a migration of a large table may well take. */
async function apply(engine: SchemaEngine, migrationsList: MigrationList, log: Log) {
  const filters = { externalTables: [], externalEnums: [] };
  for (;;) {
    try {
      return (await engine.applyMigrations({ migrationsList, filters })).appliedMigrationNames;
    } catch (error) {
      if (!messageOf(error).includes('Timed out trying to acquire a postgres advisory lock')) {
        throw explain(error);
      }
      log.info({}, 'another process is migrating the database: waiting for it');
    }
  }
}

const RESOLVE =
  'Nothing of it remains, since a migration is one transaction. Put the reason right, ' +
  'then run `npx prisma migrate resolve --rolled-back <migration>` and start again.';

/** What to do, by Prisma's code for what is wrong: https://www.prisma.io/docs/orm/reference/error-reference */
const REMEDIES: Readonly<Record<string, string>> = {
  P3005:
    'It holds tables that no migration has made. Use an empty database; or, if they are those of a migration, ' +
    'say so with `npx prisma migrate resolve --applied <migration>`.',
  P3009: `The reason is in the column logs of the table _prisma_migrations. ${RESOLVE}`,
};

function explain(error: unknown): MigrationFailed {
  const message = messageOf(error);
  const migration = /migration_name="([^"]+)"/.exec(message)?.[1];
  const failedEarlier = /^The `([^`]+)` migration/m.exec(message)?.[1];
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const remedy = REMEDIES[code] ?? (migration ? RESOLVE : '');
  // The engine appends a trace of its own calls.
  const reason = message.replace(/\n\s+0: [\s\S]*/, '').trim();
  return new MigrationFailed(
    [
      migration ? `The migration ${migration} failed:` : 'The database cannot be migrated:',
      reason,
      remedy.replace('<migration>', migration ?? failedEarlier ?? '$&'),
    ].join('\n'),
    { cause: error },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

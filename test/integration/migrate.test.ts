import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, onTestFinished, test } from 'vitest';
import { withDatabase } from '../../src/store/database-url.ts';
import { applyMigrations, migrationNames } from '../../src/store/migrate.ts';

const SERVER = withDatabase(inject('templateUrl'), 'postgres');
const ROOT = join(import.meta.dirname, '../..');
const log = { info: () => {} };

let databaseUrl: string;

beforeEach(async () => {
  const name = `migrate_test_${randomUUID()}`;
  databaseUrl = withDatabase(SERVER, name);
  await query(SERVER, `create database "${name}"`);
});

afterEach(async () => {
  await query(SERVER, `drop database if exists "${nameOf(databaseUrl)}" with (force)`);
});

test('an empty database gets every migration once, and the log names them', async () => {
  const lines: unknown[] = [];
  const applied = await applyMigrations({
    databaseUrl,
    log: { info: (line: unknown) => lines.push(line) },
  });
  expect(applied.length).toBeGreaterThan(0);
  expect(lines).toEqual([{ migrations: applied }]);
  expect(await applyMigrations({ databaseUrl, log })).toEqual([]);
  expect(await query(databaseUrl, 'select from tasks')).toHaveLength(0);
});

test('a database that does not exist is created', async () => {
  await query(SERVER, `drop database "${nameOf(databaseUrl)}"`);
  expect(await applyMigrations({ databaseUrl, log })).not.toEqual([]);
});

test('what was migrated in the process is up to date for the Prisma CLI, and the schema shows no drift', async () => {
  await applyMigrations({ databaseUrl, log });
  const status = await prisma('migrate', 'status');
  expect(status).toContain('Database schema is up to date!');
  const drift = ['--from-config-datasource', '--to-schema', 'prisma/schema.prisma'];
  expect(await prisma('migrate', 'diff', ...drift, '--exit-code')).toContain('No difference');
  const history = ['--from-migrations', 'prisma/migrations', '--to-schema', 'prisma/schema.prisma'];
  expect(await prisma('migrate', 'diff', ...history, '--exit-code')).toContain('No difference');
});

test('what the Prisma CLI has deployed is up to date in the process', async () => {
  await prisma('migrate', 'deploy');
  expect(await applyMigrations({ databaseUrl, log })).toEqual([]);
});

test('migrations started at the same moment take turns', async () => {
  const runs = await Promise.all([
    applyMigrations({ databaseUrl, log }),
    applyMigrations({ databaseUrl, log }),
    prisma('migrate', 'deploy').then(() => []),
    applyMigrations({ databaseUrl, log }),
  ]);
  expect(runs.filter((applied) => applied.length > 0).length).toBeLessThanOrEqual(1);
  const history = await query(databaseUrl, 'select finished_at from _prisma_migrations');
  expect(history.every((row) => row.finished_at instanceof Date)).toBe(true);
  const names = await query(databaseUrl, 'select distinct migration_name from _prisma_migrations');
  expect(names).toHaveLength(history.length);
});

test('a migration that fails leaves nothing behind and says how to go on', async () => {
  const directory = await migrations({
    '20990101000000_bad': 'create table half (i int); selec 1;',
  });
  const run = () => applyMigrations({ databaseUrl, log, directory });
  await expect(run()).rejects.toThrow(
    /^The migration 20990101000000_bad failed:\n.*syntax error at or near "selec"/s,
  );
  await expect(run()).rejects.toThrow(/resolve --rolled-back 20990101000000_bad/);
  const [half] = await query(databaseUrl, "select to_regclass('half') as half");
  expect(half).toEqual({ half: null });

  await prisma('migrate', 'resolve', '--rolled-back', '20990101000000_bad');
  await writeFile(
    join(directory, '20990101000000_bad/migration.sql'),
    'create table half (i int);',
  );
  expect(await run()).toEqual(['20990101000000_bad']);
});

test('semicolons in comments, strings and function bodies do not cut a statement in two', async () => {
  const directory = await migrations({
    '20990101000000_semicolons': `
      -- one; two
      create table texts (t text default 'a;b');
      create function f() returns int language plpgsql as $$ begin return 1; end $$;`,
  });
  expect(await applyMigrations({ databaseUrl, log, directory })).toEqual([
    ...(await migrationNames()),
    '20990101000000_semicolons',
  ]);
  expect(await query(databaseUrl, 'select f()')).toEqual([{ f: 1 }]);
});

test('a database that is in use is migrated from a version before', async () => {
  const directory = await migrations({});
  const names = await migrationNames();
  const later = names.slice(names.indexOf('20261128000000_task_traits'));
  await Promise.all(later.map((name) => rm(join(directory, name), { recursive: true })));
  await applyMigrations({ databaseUrl, log, directory });
  await query(
    databaseUrl,
    `insert into tasks (id, title, description, priority, status, type, max_attempts, attempt_budget)
     select gen_random_uuid(), 'A task ' || n, md5(n::text), 'LOW', 'NEW', 'simulate', 3, 3
     from generate_series(1, 20000) n`,
  );
  let inUse = true;
  // As a change of a task does it: each locks the table to read, then to write.
  const use = Promise.all(
    [1, 2].map(async () => {
      while (inUse) {
        await query(
          databaseUrl,
          `with locked as (select id from tasks limit 1 for update skip locked)
           update tasks t set version = version from locked l where t.id = l.id`,
        );
      }
    }),
  );
  const applied = applyMigrations({ databaseUrl, log }).finally(() => {
    inUse = false;
  });
  expect(await applied).toEqual(later);
  await use;
}, 60_000);

test('a database with tables of somebody else is left alone', async () => {
  await query(databaseUrl, 'create table theirs (i int)');
  await expect(applyMigrations({ databaseUrl, log })).rejects.toThrow(/tables that no migration/);
});

/** The project's migrations and some more, in a directory of the test's own. */
async function migrations(more: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await cp(join(ROOT, 'prisma/migrations'), directory, { recursive: true });
  for (const [name, sql] of Object.entries(more)) {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'migration.sql'), sql);
  }
  return directory;
}

/** Runs the CLI where it can download nothing, with nothing in its cache. */
async function prisma(...args: string[]): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'prisma-home-'));
  const { stdout } = await promisify(execFile)(join(ROOT, 'node_modules/.bin/prisma'), args, {
    cwd: ROOT,
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      HOME: home,
      HTTPS_PROXY: 'http://127.0.0.1:1',
      HTTP_PROXY: 'http://127.0.0.1:1',
    },
  }).finally(() => rm(home, { recursive: true }));
  return stdout;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { migrationNames } from '../../src/store/migrate.ts';
import { requireCurrentSchema } from '../../src/store/schema-version.ts';
import { createLogLines } from '../support/log-lines.ts';
import { createTestDatabase } from '../support/test-database.ts';

let database: Database;
let known: string[];

beforeEach(async () => {
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  database = openDatabase({ url, log: createLogLines().log });
  onTestFinished(database.close);
  known = await migrationNames();
});

test('a database with exactly the migrations that the code knows is accepted', async () => {
  await requireCurrentSchema(database, known);
});

test('a database that lacks migrations is refused with their names and what to run', async () => {
  const more = [...known, '20990101000000_a', '20990102000000_b'];
  await expect(requireCurrentSchema(database, more)).rejects.toThrow(
    'The database lacks the migration(s) 20990101000000_a, 20990102000000_b: run `make migrate` first.',
  );
});

test('a database that was never migrated is refused in the same way', async () => {
  await database.run({ text: 'drop table _prisma_migrations' });
  await expect(requireCurrentSchema(database, ['20990101000000_a'])).rejects.toThrow(
    'The database lacks the migration(s) 20990101000000_a: run `make migrate` first.',
  );
});

test('a database that a newer version has migrated is refused', async () => {
  await record('20990101000000_newer', { finished: true });
  const refused = expect(requireCurrentSchema(database, known)).rejects;
  await refused.toMatchObject({
    message:
      'The database was migrated by a newer version (20990101000000_newer): deploy that version.',
    isBehind: false,
  });
});

test('a migration that failed is named, and it is said who knows what to do', async () => {
  await record('20990101000000_bad', { finished: false });
  const all = [...known, '20990101000000_bad'];
  await expect(requireCurrentSchema(database, all)).rejects.toThrow(
    'The migration 20990101000000_bad failed, or is still being applied: `make migrate` waits for it, or says what to do.',
  );
});

test('a migration that failed, was rolled back and then succeeded counts as applied', async () => {
  const name = '20990101000000_mended';
  await record(name, { finished: false, rolledBack: true });
  const all = [...known, name];
  await expect(requireCurrentSchema(database, all)).rejects.toThrow(/^The database lacks/);
  await record(name, { finished: true });
  await requireCurrentSchema(database, all);
});

async function record(
  name: string,
  { finished, rolledBack = false }: { finished: boolean; rolledBack?: boolean },
) {
  await database.run(
    {
      text: `
insert into _prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at)
values (gen_random_uuid(), '', $1, case when $2 then now() end, case when $3 then now() end)`,
    },
    [name, finished, rolledBack],
  );
}

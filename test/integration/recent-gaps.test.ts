import { expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { recentGaps } from '../../src/store/event-queries.ts';
import { createLogLines } from '../support/log-lines.ts';
import { createTestDatabase } from '../support/test-database.ts';

test('what a transaction that is still open may have taken is late, however many changes came after it', async () => {
  const database = await open();
  await addEvents(database, { count: 10, secondsAgo: 0 });
  const taken = await takeSeq(database);
  await addEvents(database, { count: 25_000, secondsAgo: 0 });
  const { gaps, newest } = await recentGaps(database);
  expect(gaps).toEqual([{ first: taken, last: taken }]);
  expect(newest).toBe(taken + 25_000n);
});

test('what none can have taken that is open is not', async () => {
  const database = await open();
  await addEvents(database, { count: 10, secondsAgo: 90 });
  await takeSeq(database);
  await addEvents(database, { count: 25_000, secondsAgo: 90 });
  expect((await recentGaps(database)).gaps).toEqual([]);
});

test('what comes before the first change of all may be missing as well', async () => {
  const database = await open();
  const taken = await takeSeq(database);
  await addEvents(database, { count: 3, secondsAgo: 90 });
  expect((await recentGaps(database)).gaps).toEqual([{ first: taken, last: taken }]);
});

test('what has been deleted before the first change that is left is not missing', async () => {
  const database = await open();
  await addEvents(database, { count: 5, secondsAgo: 90 });
  const taken = await takeSeq(database);
  await addEvents(database, { count: 3, secondsAgo: 90 });
  await database.run({ text: 'delete from task_events where seq < $1' }, [taken]);
  expect((await recentGaps(database)).gaps).toEqual([{ first: taken, last: taken }]);
});

test('it is told up to where changes have been deleted', async () => {
  const database = await open();
  await addEvents(database, { count: 3, secondsAgo: 0 });
  await database.run({ text: 'delete from task_events where seq > 1' });
  expect(await recentGaps(database)).toMatchObject({ newest: 1n, horizon: 3n });
});

async function open(): Promise<Database> {
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  const database = openDatabase({ url, log: createLogLines().log });
  onTestFinished(() => database.close());
  return database;
}

async function addEvents(
  database: Database,
  { count, secondsAgo }: { count: number; secondsAgo: number },
): Promise<void> {
  const text = `
    insert into task_events (task_id, version, status, attempt, at)
    select gen_random_uuid(), 1, 'NEW', 0, now() - $2::int * interval '1 s' from generate_series(1, $1::int)`;
  await database.run({ text }, [count, secondsAgo]);
}

/** As who has yet to commit does it. */
async function takeSeq(database: Database): Promise<bigint> {
  const [row] = await database.run<{ seq: string }>({
    text: `select nextval('task_events_seq_seq') as seq`,
  });
  return BigInt(row?.seq ?? 0);
}

import { v7 as uuidv7 } from 'uuid';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { cancel, retry } from '../../src/domain/transitions.ts';
import { insertTasks } from '../../src/store/insert-tasks.ts';
import type { Statement } from '../../src/store/sql.ts';
import { cursorOf, type StreamedChange } from '../../src/tasks/cursor.ts';
import { createTaskFeed } from '../../src/tasks/task-feed.ts';
import { churn, seeded } from '../support/churn.ts';
import { createFallibleSql } from '../support/fallible-sql.ts';
import { applyOpenly, names, namesAfter, next, outOfOrder, takeUntil } from '../support/streams.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

/** Until then only the test touches a task. */
const runAt = new Date(Date.now() + 3_600_000);

let app: TestService;
/** The last task whose changes a test waits for. */
let last: string;
/** Stands before everything that a test does. */
let cursor: string;

beforeEach(async () => {
  app = await startTestService();
  const changes = await app.feed.watchTasks({});
  last = (await app.create({ runAt })).id;
  cursor = cursorOf(await next(changes));
  await changes.return?.();
});

describe('resuming the stream of many tasks', () => {
  test('at random processes again and again, it gives each change once and in order per task', async () => {
    const ids = await createTasks(60);
    const other = await openFeed();
    const random = seeded(7);
    const churning = churn({ ...app, ids, changes: 3_000, random: seeded(8) }).then(() =>
      app.advance([cancel(last)]),
    );
    const seen: StreamedChange[] = [];
    let after = cursor;
    let reconnects = 0;
    for (let isOver = false; !isOver; reconnects += 1) {
      const feed = random() < 0.5 ? app.feed : other.feed;
      const changes = await feed.watchTasks({}, after);
      for (let left = random() * 100; left > 0 && !isOver; left -= 1) {
        const change = await next(changes);
        after = cursorOf(change);
        isOver = change.event.taskId === last;
        if (!isOver) seen.push(change);
      }
      await changes.return?.();
    }
    await churning;
    expect(reconnects).toBeGreaterThan(50);
    expect(outOfOrder(seen, 0)).toEqual([]);
    expect(names(seen).sort()).toEqual((await allNames()).sort());
  });

  test('it gives what was late when the cursor was handed out: committed since, or committing later', async () => {
    const [slow, slower, quick] = await createTasks(3);
    if (!slow || !slower || !quick) throw new Error('not created');
    const { feed } = await openFeed();
    const changes = await feed.watchTasks({});
    const open = await applyOpenly(app, [cancel(slow)]);
    const opener = await applyOpenly(app, [cancel(slower)]);
    await app.advance([cancel(quick)]);
    const after = cursorOf(await next(changes));
    await changes.return?.();
    await open.commit();
    for (const where of [app.feed, feed]) {
      const resumed = await where.watchTasks({}, after);
      expect(names([await next(resumed)])).toEqual([`${slow}:2`]);
      await resumed.return?.();
    }
    const again = await app.feed.watchTasks({}, after);
    const first = await next(again);
    const other = await feed.watchTasks({}, cursorOf(first));
    await opener.commit();
    await app.advance([cancel(last)]);
    expect(names(await takeUntil(again, last))).toEqual([`${slower}:2`]);
    expect(names(await takeUntil(other, last))).toEqual([`${slower}:2`]);
  });

  test('it does not give again what the other process saw first', async () => {
    const [slow, quick] = await createTasks(2);
    const { feed, sql } = await openFeed();
    const [here, there] = [await app.feed.watchTasks({}), await feed.watchTasks({})];
    const open = await applyOpenly(app, [cancel(String(slow))]);
    await app.advance([cancel(String(quick))]);
    for (const changes of [here, there])
      expect(names([await next(changes)])).toEqual([`${quick}:2`]);
    const reading = sql.hold('changes_within');
    await open.commit();
    const seen = await next(here);
    expect(names([seen])).toEqual([`${slow}:2`]);
    const resumed = await feed.watchTasks({}, cursorOf(seen));
    reading.end();
    await app.advance([cancel(last)]);
    expect(names(await takeUntil(resumed, last))).toEqual([]);
    expect(names(await takeUntil(there, last))).toEqual([`${slow}:2`]);
  });

  test.each([
    ['few', 900],
    ['many', 1_500],
  ])(
    'a backfill longer than what a subscriber may lag behind comes whole, and %s live changes after it',
    async (_few, count) => {
      await createTasks(3_000);
      const changes = await app.feed.watchTasks({}, cursor);
      const seen = [await next(changes)];
      const told = takeUntil(await app.feed.watchTasks({}), last);
      await createTasks(count);
      await app.advance([cancel(last)]);
      await told;
      seen.push(...(await takeUntil(changes, last)));
      expect(names(seen)).toEqual(await allNames());
    },
  );

  test('it gives nothing twice when the reader stops where live changes follow, and many more come', async () => {
    await createTasks(3_000);
    const changes = await app.feed.watchTasks({}, cursor);
    const seen = [await next(changes)];
    const witness = await app.feed.watchTasks({});
    const [latest] = (await createTasks(900)).slice(-1);
    // From here on the live changes are held back, for they have been told to everybody.
    await takeUntil(witness, String(latest));
    while (seen.length < 2_500) seen.push(await next(changes));
    const told = takeUntil(witness, last);
    await createTasks(1_500);
    await app.advance([cancel(last)]);
    await told;
    seen.push(...(await takeUntil(changes, last)));
    expect(names(seen)).toEqual(await allNames());
  });

  test('it reads no more than its reader takes, and nothing when the reader has left', async () => {
    await createTasks(5_000);
    await app.advance([cancel(last)]);
    const { feed, sql } = await openFeed();
    const changes = await feed.watchTasks({}, cursor);
    for (let count = 0; count < 1_200; count += 1) await next(changes);
    await readToTheEnd();
    expect(countPages(sql.statements)).toBeLessThanOrEqual(4);
    const reading = sql.hold();
    for (let count = 0; count < 600; count += 1) await next(changes);
    await changes.return?.();
    const pages = countPages(sql.statements);
    reading.end();
    await readToTheEnd();
    expect(countPages(sql.statements)).toBe(pages);

    async function readToTheEnd() {
      expect(await takeUntil(await app.feed.watchTasks({}, cursor), last)).toHaveLength(5_000);
    }
  });

  test('it waits for a database that is away', async () => {
    const [id] = await createTasks(1);
    await app.advance([cancel(last)]);
    const { feed, sql } = await openFeed();
    await feed.watchTasks({});
    const failure = sql.fail();
    const changes = await feed.watchTasks({}, cursor);
    const reading = takeUntil(changes, last);
    await expect.poll(() => countPages(sql.statements)).toBe(1);
    failure.end();
    expect(names(await reading)).toEqual([`${id}:1`]);
  });

  test('who does not read is told so after a while, and resumes without a loss', async () => {
    const changes = await app.feed.watchTasks({}, cursor);
    const [first] = await createTasks(1);
    const before = await next(changes);
    expect(before.event.taskId).toBe(first);
    const witness = takeUntil(await app.feed.watchTasks({}), last);
    await createTasks(700);
    await createTasks(700);
    await app.advance([cancel(last)]);
    const all = await witness;
    const seen: StreamedChange[] = [];
    const lagging = async () => {
      for await (const change of changes) seen.push(change);
    };
    await expect(lagging()).rejects.toMatchObject({ code: 'LAGGED' });
    expect(seen).toHaveLength(1_000);
    const resumed = await app.feed.watchTasks({}, cursorOf(seen.at(-1) ?? before));
    seen.push(...(await takeUntil(resumed, last)));
    expect(names(seen)).toEqual(names(all));
  });

  test('a filter holds for what is missed as for what comes', async () => {
    const [missed, other] = await createTasks(2);
    await app.advance([cancel(String(missed))]);
    await app.advance([retry(String(missed)), cancel(String(other))]);
    const filter = { status: ['CANCELLED' as const], priority: ['MEDIUM' as const] };
    const changes = await app.feed.watchTasks(filter, cursor);
    expect(names([await next(changes), await next(changes)])).toEqual([
      `${missed}:2`,
      `${other}:2`,
    ]);
    await app.advance([cancel(last)]);
    expect(names([await next(changes)])).toEqual([`${last}:2`]);
  });

  test('it goes on after a change that is deleted, also at a process that has never seen it', async () => {
    const changes = await app.feed.watchTasks({}, cursor);
    const gone = await app.create({ runAt });
    const after = cursorOf(await next(changes));
    await app.database.run({ text: 'delete from tasks where id = $1' }, [gone.id]);
    const { feed } = await openFeed();
    const resumed = await feed.watchTasks({}, after);
    await app.advance([cancel(last)]);
    expect(names([await next(resumed)])).toEqual([`${last}:2`]);
  });

  test('however many resume at once, most connections are left to others', async () => {
    await createTasks(3);
    let reading = 0;
    let most = 0;
    const sql = {
      async run<Row extends object>(statement: Statement, values?: readonly unknown[]) {
        // Backfills are the only ones without a name.
        if (statement.name !== undefined) return app.database.run<Row>(statement, values);
        reading += 1;
        most = Math.max(most, reading);
        const rows = await app.database.run<Row>(statement, values);
        reading -= 1;
        return rows;
      },
    };
    const feed = await createTaskFeed({ broker: app.broker, sql, log: app.logs.log });
    onTestFinished(feed.close);
    const streams = await Promise.all(
      Array.from({ length: 30 }, () => feed.watchTasks({}, cursor)),
    );
    for (const changes of streams) expect(await take(changes, 3)).toHaveLength(3);
    expect(most).toBe(2);
  });

  test('it refuses a cursor that is ahead of all that ever happened', async () => {
    const ahead = Buffer.from(`1:${10n ** 15n}:1:${last}`).toString('base64url');
    await expect(app.feed.watchTasks({}, ahead)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      issues: [{ path: ['after'], message: 'is ahead of every change that there is' }],
    });
  });
});

async function take(changes: AsyncIterator<StreamedChange>, count: number) {
  const taken: StreamedChange[] = [];
  while (taken.length < count) taken.push(await next(changes));
  return taken;
}

async function createTasks(count: number): Promise<string[]> {
  const row = {
    title: 'a test',
    description: '',
    priority: 'MEDIUM',
    type: 'simulate',
    payload: null,
    runAt,
    maxAttempts: 3,
    expiresAt: null,
    ttlSeconds: null,
    timeoutSeconds: null,
    retry: null,
    idempotencyKey: null,
    inputHash: null,
  } as const;
  const rows = Array.from({ length: count }, () => ({ ...row, id: uuidv7() }));
  const changes = await insertTasks(app.database, rows, 'NEW');
  app.broker.publishEvents(changes);
  return rows.map(({ id }) => id);
}

/** The stream of another API process. */
async function openFeed() {
  const sql = createFallibleSql(app.database);
  const feed = await createTaskFeed({ broker: app.broker, sql, log: app.logs.log });
  onTestFinished(feed.close);
  return { feed, sql };
}

/** Of everything after `cursor` and before the latest change. */
async function allNames(): Promise<string[]> {
  const [row] = await app.database.run<{ seq: string }>(
    { text: 'select seq from task_events where task_id = $1 and version = 1' },
    [last],
  );
  return namesAfter(app.database, BigInt(row?.seq ?? 0));
}

function countPages(statements: readonly string[]): number {
  return statements.filter((text) => text.includes('unnest($1::bigint[]')).length;
}

import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { cancel, claim, complete, retry, type Transition } from '../../src/domain/transitions.ts';
import { applyTransitions } from '../../src/store/apply-transitions.ts';
import { createAdvance, happened } from '../../src/tasks/advance.ts';
import { cursorOf, decodeCursor, type StreamedChange } from '../../src/tasks/cursor.ts';
import { createTaskFeed } from '../../src/tasks/task-feed.ts';
import { churn, seeded } from '../support/churn.ts';
import { createFallibleSql } from '../support/fallible-sql.ts';
import { applyOpenly, names, namesAfter, next, outOfOrder, takeUntil } from '../support/streams.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';
/** Until then only the test touches a task. */
const runAt = new Date(Date.now() + 3_600_000);

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('watching many tasks', () => {
  test('gives each change once and in order per task while many connections commit out of order', async () => {
    const [last, ...ids] = await createTasks(61);
    const changes = await app.feed.watchTasks({});
    const start = await newestSeq();
    const reading = takeUntil(changes, last);
    await churn({ ...app, ids, changes: 4_000, random: seeded(1) });
    await app.advance([cancel(last)]);
    const seen = await reading;
    expect(outOfOrder(seen, 1)).toEqual([]);
    expect(names(seen).sort()).toEqual((await namesAfter(app.database, start)).sort());
  });

  test('gives what commits after a later change when it commits, once', async () => {
    const [slow, quick, last] = await createTasks(3);
    const changes = await app.feed.watchTasks({});
    const open = await applyOpenly(app, [cancel(slow)]);
    await app.advance([cancel(quick)]);
    expect((await next(changes)).event.taskId).toBe(quick);
    await open.commit();
    expect((await next(changes)).event.taskId).toBe(slow);
    await app.advance([retry(slow)]);
    await app.advance([cancel(last)]);
    expect(names(await takeUntil(changes, last))).toEqual([`${slow}:3`]);
  });

  test('gives what was being written before the first watcher came', async () => {
    const [slow, quick] = await createTasks(2);
    const open = await applyOpenly(app, [cancel(slow)]);
    await app.advance([cancel(quick)]);
    const changes = await app.feed.watchTasks({});
    await open.commit();
    expect((await next(changes)).event.taskId).toBe(slow);
  });

  test('gives what commits late even if its transaction began to write after all that were visible', async () => {
    const [slow, quick, other] = await createTasks(3);
    const changes = await app.feed.watchTasks({});
    const [begun, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const older = app.database.transaction(async (tx) => {
      await tx.run({ text: 'select pg_current_xact_id()' });
      begun.resolve();
      await going.promise;
      return happened(await applyTransitions(tx, [cancel(quick)]));
    });
    await begun.promise;
    const newer = await applyOpenly(app, [cancel(slow)]);
    going.resolve();
    app.broker.publishEvents(await older);
    expect((await next(changes)).event.taskId).toBe(quick);
    for (const transition of [cancel(other), retry(other)]) {
      await app.advance([transition]);
      expect((await next(changes)).event.taskId).toBe(other);
    }
    await newer.commit();
    expect((await next(changes)).event.taskId).toBe(slow);
  });

  test('does not wait for what was rolled back, and forgets it when no transaction of that time is open', async () => {
    const [undone, other] = await createTasks(2);
    const changes = await app.feed.watchTasks({});
    const open = await applyOpenly(app, [cancel(undone)]);
    const lateAfter = async (transition: Transition) => {
      await app.advance([transition]);
      return countLate(await next(changes));
    };
    expect(await lateAfter(cancel(other))).toBe(1);
    expect(await lateAfter(retry(other))).toBe(1);
    await open.rollBack();
    // It shows when the log is next read unasked. Transactions of other tests count as well, until they end.
    await expect
      .poll(async () => [await lateAfter(cancel(other)), await lateAfter(retry(other))], {
        timeout: 15_000,
      })
      .toEqual([0, 0]);
    expect(await lateAfter(cancel(undone))).toBe(0);
  });

  test('forgets what was rolled back in time even if some other transaction never ends', async () => {
    let time = 0;
    const { feed } = await openFeed({ now: () => time });
    const [foreign, undone, ...ids] = await createTasks(8);
    const endless = await applyOpenly(app, [cancel(foreign)]);
    const changes = await feed.watchTasks({});
    const open = await applyOpenly(app, [cancel(undone)]);
    const late: number[] = [];
    for (const id of ids) {
      await app.advance([cancel(id)]);
      late.push(countLate(await next(changes)));
      await open.rollBack();
      time += 30_000;
    }
    await endless.rollBack();
    expect(late).toEqual([1, 1, 1, 1, 1, 0]);
  });

  test('loses nothing when more is late than it keeps, but goes on when transactions end', async () => {
    const [foreign, holed, last] = await createTasks(3);
    const endless = await applyOpenly(app, [cancel(foreign)]);
    const changes = await app.feed.watchTasks({});
    // Every other seq, as if as many transactions had been rolled back.
    await app.database.run(
      {
        text: `
insert into task_events (task_id, version, seq, status, previous_status, attempt)
select $1, n, nextval('task_events_seq_seq') + 0 * nextval('task_events_seq_seq'), 'PENDING', 'PENDING', 0
from generate_series(2, 2601) n`,
      },
      [holed],
    );
    await app.advance([cancel(last)]);
    const seen: StreamedChange[] = [];
    while (seen.length < 2_000) seen.push(await next(changes));
    await endless.rollBack();
    seen.push(...(await takeUntil(changes, last)));
    expect(outOfOrder(seen, 1)).toEqual([]);
    expect(seen).toHaveLength(2_600);
    expect(Math.max(...seen.map(countLate))).toBeLessThanOrEqual(2_000);
  });

  test('gives what commits late even if it was written while the log was being read', async () => {
    const { feed, sql } = await openFeed();
    const [slow] = await createTasks(1);
    const changes = await feed.watchTasks({});
    const [quick] = await createTasks(1);
    await takeUntil(changes, quick);
    const reads = () => sql.statements.filter((name) => name === 'changes_within').length;
    const before = reads();
    const answer = sql.holdAnswers();
    await expect.poll(reads, { timeout: 5_000 }).toBe(before + 1);
    const open = await applyOpenly(app, [cancel(slow)]);
    await app.advance([cancel(quick)]);
    await takeUntil(changes, quick);
    answer.end();
    await expect.poll(reads, { timeout: 10_000 }).toBeGreaterThan(before + 2);
    await open.commit();
    expect((await next(changes)).event.taskId).toBe(slow);
  });

  test('makes up for a lost announcement even when no other follows', async () => {
    const [id] = await createTasks(1);
    const changes = await app.feed.watchTasks({});
    await advanceUnheard(cancel(id));
    expect((await next(changes)).event).toMatchObject({ taskId: id, status: 'CANCELLED' });
  });

  test('makes up for a read that failed even when no other announcement follows', async () => {
    const { feed, sql } = await openFeed();
    const [id] = await createTasks(1);
    const changes = await feed.watchTasks({});
    const reads = sql.statements.length;
    const failure = sql.fail();
    await app.advance([cancel(id)]);
    await expect.poll(() => sql.statements.length).toBeGreaterThan(reads);
    failure.end();
    expect((await next(changes)).event).toMatchObject({ taskId: id, status: 'CANCELLED' });
  });

  test('brings all that happened during an outage to all who read, however much it is', async () => {
    const { feed, sql } = await openFeed();
    const [last, ...ids] = await createTasks(100);
    const streams = await Promise.all(Array.from({ length: 20 }, () => feed.watchTasks({})));
    const reading = Promise.all(streams.map((changes) => takeUntil(unhurried(changes), last)));
    const failure = sql.fail();
    const start = await newestSeq();
    for (let round = 0; round < 30; round += 1) {
      await app.advance(ids.map((id) => (round % 2 === 0 ? cancel(id) : retry(id))));
    }
    await app.advance([cancel(last)]);
    failure.end();
    const expected = await namesAfter(app.database, start);
    for (const seen of await reading) expect(names(seen)).toEqual(expected);
  });

  test('shows the task as the change left it, however late it is read', async () => {
    const { feed, sql } = await openFeed();
    const { id } = await app.create();
    const changes = await feed.watchTasks({});
    const reading = sql.hold();
    const [claimed] = await app.advance([claim(id, WORKER)]);
    const version = claimed?.event.version ?? 0;
    await app.advance([complete({ taskId: id, version }, 'done')]);
    reading.end();
    expect((await next(changes)).task).toMatchObject({ status: 'IN_PROGRESS', result: null });
    expect((await next(changes)).task).toMatchObject({ status: 'COMPLETED', result: 'done' });
  });

  test('reads nothing for announcements that tell all, but for a look now and then', async () => {
    const { feed, sql } = await openFeed();
    const streams = await Promise.all(Array.from({ length: 30 }, () => feed.watchTasks({})));
    const start = { reads: sql.statements.length, at: performance.now() };
    const [last, ...ids] = await createTasks(41);
    const reading = streams.map((changes) => takeUntil(cancellations(changes), last));
    for (const id of [...ids, last]) await app.advance([cancel(id)]);
    for (const seen of await Promise.all(reading)) expect(seen).toHaveLength(40);
    const looks = Math.ceil((performance.now() - start.at) / 1_500);
    expect(sql.statements.length - start.reads).toBeLessThanOrEqual(looks);
  });

  test('waits for one who has stopped reading once, and tells all others at once from then on', async () => {
    const sql = createFallibleSql(app.database);
    const feed = await createTaskFeed({ broker: app.broker, sql, log: app.logs.log });
    onTestFinished(feed.close);
    await feed.watchTasks({ priority: ['HIGH'] });
    const others = await feed.watchTasks({ priority: ['LOW'] });
    // Two changes of each: too many to take another page, too few for it to be told that it lags.
    await Promise.all(Array.from({ length: 300 }, () => app.create({ priority: 'HIGH' })));
    const [first, second] = [
      await app.create({ priority: 'LOW' }),
      await app.create({ priority: 'LOW' }),
    ];
    for (let n = 0; n < 4; n += 1) await next(others);
    // From here on only what is told without a read arrives.
    const reading = sql.hold('changes_within');
    onTestFinished(reading.end);
    for (const { id } of [first, second]) await app.advance([cancel(id)]);
    expect(names([await next(others), await next(others)])).toEqual([
      `${first.id}:3`,
      `${second.id}:3`,
    ]);
  });

  test('costs the same reads for many watchers as for one, and none for nobody', async () => {
    const { feed, sql } = await openFeed();
    const [last, ...ids] = await createTasks(41);
    const idle = await openFeed();
    for (const id of ids.slice(0, 20)) await app.advance([cancel(id)]);
    expect(sql.statements).toEqual([]);

    const streams = await Promise.all(Array.from({ length: 30 }, () => feed.watchTasks({})));
    const start = sql.statements.length;
    const reading = streams.map((changes) => takeUntil(changes, last));
    for (const id of [...ids.slice(20), last]) await app.advance([cancel(id)]);
    for (const seen of await Promise.all(reading)) expect(seen).toHaveLength(20);
    const reads = sql.statements.slice(start);
    expect(new Set(reads)).toEqual(new Set(['changes_within']));
    expect(reads.length).toBeLessThanOrEqual(22);

    for (const changes of streams) await changes.return?.();
    const end = sql.statements.length;
    await withinHealInterval();
    expect(sql.statements.length).toBe(end);
    expect(idle.sql.statements).toEqual([]);
  });
});

/** Reads as a connection does, which sends one change before it takes the next. */
async function* unhurried(changes: AsyncIterableIterator<StreamedChange>) {
  for await (const change of changes) {
    await setImmediate();
    yield change;
  }
}

/** Only what says that a task was cancelled. */
async function* cancellations(changes: AsyncIterableIterator<StreamedChange>) {
  for await (const change of changes) if (change.event.status === 'CANCELLED') yield change;
}

/** Long enough for the feeds to look into the database unasked: another one has by then. */
async function withinHealInterval() {
  const [id] = await createTasks(1);
  const changes = await app.feed.watchTasks({ ids: [id] });
  await advanceUnheard(cancel(id));
  await next(changes);
}

/** Tasks that nobody touches but the test; at least as many as are named. */
async function createTasks(count: number): Promise<[string, string, string, ...string[]]> {
  const tasks = await Promise.all(
    Array.from({ length: Math.max(count, 3) }, () => app.create({ runAt })),
  );
  const [a, b, c, ...others] = tasks.map(({ id }) => id);
  if (a === undefined || b === undefined || c === undefined) throw new Error('none created');
  return [a, b, c, ...others];
}

/** The stream of another API process. */
async function openFeed(options: { now?: () => number } = {}) {
  const sql = createFallibleSql(app.database);
  const feed = await createTaskFeed({ broker: app.broker, sql, log: app.logs.log, ...options });
  onTestFinished(feed.close);
  return { feed, sql };
}

/** A change whose announcement nobody hears. */
async function advanceUnheard(transition: Transition) {
  const deaf = createAdvance({ sql: app.database, broker: createMemoryBroker() });
  await deaf([transition]);
}

async function newestSeq(): Promise<bigint> {
  const [row] = await app.database.run<{ seq: string }>({
    text: 'select max(seq) as seq from task_events',
  });
  return BigInt(row?.seq ?? 0);
}

function countLate(change: StreamedChange): number {
  return decodeCursor(cursorOf(change)).unseen.length - 1;
}

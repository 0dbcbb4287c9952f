import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { TaskProgress } from '../../src/domain/task.ts';
import type { Claim } from '../../src/domain/transitions.ts';
import type { Sql } from '../../src/store/sql.ts';
import { createProgressWriter } from '../../src/worker/progress-writer.ts';
import { createFallibleSql } from '../support/fallible-sql.ts';
import { createLogLines } from '../support/log-lines.ts';

const INTERVAL_MS = 250;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a report after a quiet time goes out at once', async () => {
  const { open, stored } = setUp();
  const { report } = open('a');
  report(0.1);
  await pass(0);
  expect(stored).toEqual([{ a: 0.1 }]);
  await pass(INTERVAL_MS);
  report(0.2);
  await pass(0);
  expect(stored).toEqual([{ a: 0.1 }, { a: 0.2 }]);
});

test('a burst of reports takes one statement per interval, and its last value is stored', async () => {
  const { open, stored, times } = setUp();
  const { report } = open('a');
  for (let step = 1; step <= 1_000; step += 1) {
    report(step / 1_000);
    if (step % 2 === 0) await pass(3);
  }
  await pass(INTERVAL_MS);
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(new Set(pauses)).toEqual(new Set([INTERVAL_MS]));
  expect(stored.length).toBeGreaterThan(5);
  expect(stored.at(-1)).toEqual({ a: 1 });
  await pass(10 * INTERVAL_MS);
  expect(stored.filter((reports) => reports.a === 1)).toHaveLength(1);
});

test('the reports of many runs go out in one statement', async () => {
  const { open, stored } = setUp();
  const names = Array.from({ length: 100 }, (_, index) => `run ${index}`);
  const reporters = names.map(open);
  const all = (value: number) => Object.fromEntries(names.map((name) => [name, value]));
  for (const { report } of reporters) report(0.1);
  await pass(0);
  for (const { report } of reporters) {
    report(0.2);
    await pass(1);
    report(0.3);
  }
  await pass(INTERVAL_MS);
  expect(stored).toEqual([all(0.1), all(0.3)]);
});

test('there are never two statements at a time, however long one takes', async () => {
  const { open, sql, stored } = setUp();
  const [one, other] = [open('a'), open('b')];
  const held = sql.hold();
  one.report(0.1);
  await pass(0);
  for (let step = 0; step < 20; step += 1) {
    one.report(0.2);
    other.report(step / 20);
    await pass(INTERVAL_MS);
  }
  const stopped = other.stop();
  await pass(INTERVAL_MS);
  expect(sql.statements).toHaveLength(1);
  held.end();
  await stopped;
  expect(stored).toEqual([{ a: 0.1 }, { a: 0.2, b: 0.95 }]);
});

test('a run that ends has its last report written without waiting for the interval, the others wait', async () => {
  const { open, stored, announced } = setUp();
  const [one, other] = [open('a'), open('b')];
  one.report(0.1);
  other.report(0.1);
  await pass(INTERVAL_MS / 2);
  one.report(0.9, 'nearly');
  other.report(0.2);
  await one.stop();
  expect(stored).toEqual([{ a: 0.1, b: 0.1 }, { a: 0.9 }]);
  expect(announced.at(-1)).toMatchObject({ taskId: 'a', progress: 0.9, message: 'nearly' });
  await pass(INTERVAL_MS / 2);
  expect(stored.slice(2)).toEqual([{ b: 0.2 }]);
});

test('a run that ends in the same turn as its first report has that written', async () => {
  const { open, stored } = setUp();
  const { report, stop } = open('a');
  report(0.5);
  await stop();
  expect(stored).toEqual([{ a: 0.5 }]);
  await pass(INTERVAL_MS);
  expect(stored).toHaveLength(1);
});

test('nothing is written after a run has ended', async () => {
  const { open, sql } = setUp();
  const { report, stop } = open('a');
  report(0.5);
  await stop();
  report(0.6);
  await stop();
  await pass(10 * INTERVAL_MS);
  expect(sql.statements).toHaveLength(1);
});

test('a run with nothing to write ends at once, whatever is under way for others', async () => {
  const { open, sql } = setUp();
  const silent = open('silent');
  const held = sql.hold();
  const other = open('b');
  other.report(0.5);
  await pass(0);
  await silent.stop();
  held.end();
  await other.stop();
});

test('a value that could not be stored gets another chance, unless there is a newer one', async () => {
  const { open, sql, stored, announced, lines } = setUp();
  const [one, other] = [open('a'), open('b')];
  const [failure, held] = [sql.fail(), sql.hold()];
  one.report(0.1);
  other.report(0.1);
  await pass(0);
  one.report(0.2);
  held.end();
  await pass(INTERVAL_MS / 2);
  failure.end();
  await pass(INTERVAL_MS / 2);
  expect(stored).toEqual([{ a: 0.2, b: 0.1 }]);
  expect(announced.map(({ progress }) => progress).sort()).toEqual([0.1, 0.2]);
  expect(lines.all.map(({ level }) => level)).toEqual(['debug']);
  await pass(10 * INTERVAL_MS);
  expect(stored).toHaveLength(1);
});

test('a database that is away is asked once per interval', async () => {
  const { open, sql, stored } = setUp();
  const { report } = open('a');
  const failure = sql.fail();
  report(0.1);
  await pass(0);
  await pass(10 * INTERVAL_MS);
  expect(sql.statements).toHaveLength(11);
  failure.end();
  await pass(INTERVAL_MS);
  expect(stored).toEqual([{ a: 0.1 }]);
});

test('a run that ends while its last report fails has it tried once more', async () => {
  const { open, sql, stored } = setUp();
  const { report, stop } = open('a');
  const held = sql.hold();
  const failure = sql.fail();
  report(0.1);
  await pass(0);
  const stopped = stop();
  held.end();
  // The first statement has failed by now, the second waits.
  const heldAgain = sql.hold();
  await pass(0);
  failure.end();
  heldAgain.end();
  await stopped;
  expect(stored).toEqual([{ a: 0.1 }]);
});

test('a run ends though its last report cannot be stored, and that is given up', async () => {
  const { open, sql, stored } = setUp();
  const { report, stop } = open('a');
  const failure = sql.fail();
  report(0.1);
  await stop();
  failure.end();
  await pass(10 * INTERVAL_MS);
  expect([sql.statements.length, stored]).toEqual([1, []]);
});

test('only what was stored is announced', async () => {
  const { open, announced, lose } = setUp();
  const [held, lost] = [open('held'), open('lost')];
  lose('lost');
  held.report(0.5);
  lost.report(0.5);
  await pass(0);
  expect(announced.map(({ taskId }) => taskId)).toEqual(['held']);
});

test('a fraction out of range is moved into it, and none at all is ignored', async () => {
  const { open, stored } = setUp();
  for (const fraction of [-1, 2, Number.POSITIVE_INFINITY, Number.NaN]) {
    const { report, stop } = open('a');
    report(fraction);
    await stop();
  }
  expect(stored).toEqual([{ a: 0 }, { a: 1 }, { a: 1 }]);
});

/** A writer on a database that keeps all that is stored in it, statement by statement. */
function setUp() {
  const stored: Record<string, number>[] = [];
  const times: number[] = [];
  const lostTasks = new Set<string>();
  const announced: TaskProgress[] = [];
  const { log, lines } = createLogLines();
  const database: Sql = {
    async run<Row extends object>(_statement: unknown, values: readonly unknown[] = []) {
      const reports: Stored[] = JSON.parse(String(values[0]));
      stored.push(Object.fromEntries(reports.map(({ id, progress }) => [id, progress])));
      times.push(Date.now());
      const rows = reports
        .filter(({ id }) => !lostTasks.has(id))
        .map(({ id, ...report }) => ({ ...report, taskId: id, attempt: 1, at: new Date() }));
      return rows as unknown as Row[];
    },
  };
  const sql = createFallibleSql(database);
  const broker = {
    publishProgress: (progress: readonly TaskProgress[]) => void announced.push(...progress),
  };
  const writer = createProgressWriter({ sql, broker, log });
  const open = (taskId: string) => writer.open({ taskId, version: 3 } satisfies Claim);
  const lose = (taskId: string) => void lostTasks.add(taskId);
  return { open, lose, sql, stored, times, announced, lines };
}

interface Stored {
  id: string;
  version: number;
  progress: number;
  message: string | null;
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

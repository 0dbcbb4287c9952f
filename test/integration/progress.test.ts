import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { progressPattern } from '../../src/broker/messages.ts';
import type { Task, TaskProgress } from '../../src/domain/task.ts';
import { cancel, claim, release } from '../../src/domain/transitions.ts';
import { openDatabase } from '../../src/store/database.ts';
import { storeProgress } from '../../src/store/progress.ts';
import { createProgressWriter } from '../../src/worker/progress-writer.ts';
import { historyOf } from '../support/history-of.ts';
import { createInbox } from '../support/inbox.ts';
import { makeTaskProgress } from '../support/task-progress.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

test('the progress of a run is stored with its task, and is no change of status', async () => {
  const task = await claimed();
  const [before, stored, after] = [
    await databaseTime(),
    await storeProgress(app.database, [reportOf(task, 0.25, 'a quarter')]),
    await databaseTime(),
  ];
  const { id, version, attempt } = task;
  const at = stored[0]?.at;
  expect(stored).toEqual([
    { taskId: id, version, attempt, progress: 0.25, message: 'a quarter', at },
  ]);
  expect(Number(at)).toBeGreaterThanOrEqual(Number(before));
  expect(Number(at)).toBeLessThanOrEqual(Number(after));
  const seen = { ...task, progress: 0.25, progressMessage: 'a quarter' };
  expect(await app.service.get(id)).toEqual(seen);
  expect(await historyOf(app.database, id)).toHaveLength(3);
});

test('the progress of a lost claim changes nothing and is not announced', async () => {
  const [held, cancelled, taken, final] = [
    await claimed(),
    await claimed(),
    await claimed(),
    await claimed(),
  ];
  await app.service.cancel(cancelled.id);
  await app.advance([release(claimOf(taken))]);
  const [again] = await app.advance([claim(taken.id, WORKER)]);
  await app.advance([cancel(final.id)]);
  const tasks = [held, cancelled, taken, final];
  const before = await Promise.all(tasks.map(({ id }) => app.service.get(id)));
  const announced = await announcements(tasks.map(({ id }) => id));

  // The cancelled one is the run's very version, had the cancellation not raised it.
  const writer = createWriter();
  const reporters = [held, cancelled, taken, { ...final, version: final.version + 1 }].map((task) =>
    writer.open(claimOf(task)),
  );
  for (const { report } of reporters) report(0.5);
  await Promise.all(reporters.map(({ stop }) => stop()));

  const marker = makeTaskProgress({ taskId: held.id, message: 'the last' });
  app.broker.publishProgress([marker]);
  const [first, last] = await announced.takeMany(2);
  expect([first, last]).toEqual([expect.objectContaining({ taskId: held.id }), marker]);
  expect(announced.all).toHaveLength(2);
  const after = await Promise.all(tasks.map(({ id }) => app.service.get(id)));
  expect(after.slice(1)).toEqual(before.slice(1));
  expect(after[2]).toEqual(again?.task);
  expect(after[0]?.progress).toBe(0.5);
});

test('a run in the next attempt and its lost predecessor may report at once', async () => {
  const lost = await claimed();
  await app.advance([release(claimOf(lost))]);
  await app.advance([claim(lost.id, WORKER)]);
  const task = await app.service.get(lost.id);
  const stored = await storeProgress(app.database, [
    reportOf(lost, 0.9, 'late'),
    reportOf(task, 0.1, 'anew'),
    reportOf(lost, 0.9, 'late'),
  ]);
  expect(stored).toMatchObject([{ version: task.version, progress: 0.1, message: 'anew' }]);
});

test('text that cannot be stored keeps nobody’s progress from being stored', async () => {
  const [odd, other] = [await claimed(), await claimed()];
  const writer = createWriter();
  const reporters = [writer.open(claimOf(odd)), writer.open(claimOf(other))];
  reporters[0]?.report(0.5, `a\0b\ud800${'x'.repeat(20_000)}`);
  reporters[1]?.report(0.5, 'Zoë');
  await Promise.all(reporters.map(({ stop }) => stop()));
  const [seenOdd, seenOther] = [await app.service.get(odd.id), await app.service.get(other.id)];
  expect(seenOdd.progressMessage).toMatch(/^ab\ufffdx+$/);
  expect(seenOdd.progressMessage?.length).toBeLessThanOrEqual(10_000);
  expect(seenOther.progressMessage).toBe('Zoë');
});

test('tasks are locked in the order of their ids, so that two statements cannot deadlock', async () => {
  const [first, second] = [await claimed(), await claimed()].sort((one, other) =>
    one.id < other.id ? -1 : 1,
  );
  if (first === undefined || second === undefined) throw new Error('no tasks');
  const rival = openDatabase({ url: app.databaseUrl, log: app.logs.log, poolSize: 1 });
  onTestFinished(rival.close);
  const lock = { text: 'select from tasks where id = $1 for update nowait' };
  let storing: Promise<TaskProgress[]> | undefined;
  await rival.transaction(async (sql) => {
    await sql.run(lock, [first.id]);
    storing = storeProgress(app.database, [reportOf(second, 0.5), reportOf(first, 0.5)]);
    await expect.poll(lockWaits).toBe(1);
    // It waits for the first without holding the second.
    await sql.run(lock, [second.id]);
  });
  expect(await storing).toHaveLength(2);
});

async function claimed(): Promise<Task> {
  const { id } = await app.create();
  const [change] = await app.advance([claim(id, WORKER)]);
  if (change === undefined) throw new Error('The task could not be claimed.');
  return change.task;
}

function claimOf({ id, version }: Task) {
  return { taskId: id, version };
}

function reportOf(task: Task, progress: number, message: string | null = null) {
  return { claim: claimOf(task), progress, message };
}

function createWriter() {
  return createProgressWriter({ sql: app.database, broker: app.broker, log: app.logs.log });
}

async function announcements(taskIds: string[]) {
  const inbox = createInbox<TaskProgress>();
  const stream = await app.broker.openEventStream({
    onChange: () => {},
    onProgress: inbox.put,
    onGap: () => {},
  });
  for (const id of taskIds) await stream.bind(progressPattern(id));
  return inbox;
}

async function databaseTime(): Promise<Date> {
  const [row] = await app.database.run<{ now: Date }>({ text: 'select clock_timestamp() as now' });
  if (row === undefined) throw new Error('no time');
  return row.now;
}

/** How many statements wait for a lock in this test's database. */
async function lockWaits(): Promise<number> {
  const rows = await app.database.run({
    text: `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  });
  return rows.length;
}

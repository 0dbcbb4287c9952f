import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CANCELLABLE_STATUSES } from '../../src/domain/task.ts';
import type { TaskFilter } from '../../src/domain/task-filter.ts';
import { cancel, claim, complete, enqueue } from '../../src/domain/transitions.ts';
import { applyTransitions } from '../../src/store/apply-transitions.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import {
  findExpired,
  lastQueuedOfRunning,
  lockDueTasks,
  msUntilNextDue,
  touchStalePending,
} from '../../src/store/due-tasks.ts';
import {
  changesOfEach,
  changesWithin,
  latestChange,
  matchingChangesWithin,
  presentStates,
  recentGaps,
} from '../../src/store/event-queries.ts';
import { findByKeys } from '../../src/store/idempotency.ts';
import { insertTasks } from '../../src/store/insert-tasks.ts';
import { storeProgress } from '../../src/store/progress.ts';
import type { Sql } from '../../src/store/sql.ts';
import { countByStatus } from '../../src/store/task-counts.ts';
import { matchingIds } from '../../src/store/task-ids.ts';
import { countTasks, findTasks, glanceAt, listTasks } from '../../src/store/task-queries.ts';
import {
  beat,
  buryDeadWorkers,
  findHeld,
  findLost,
  findOrphans,
  retireWorker,
} from '../../src/store/workers.ts';
import { createLogLines } from '../support/log-lines.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const ROWS = 1_000_000;
const ID = '01890000-0000-7000-8000-000000000001';
const CLAIM = { taskId: ID, version: 3 };
const LATE = { first: 899_000n, last: 899_100n };
const STRETCH = { first: 900_000n, last: 950_000n };
const LATEST = { first: 999_000n, last: 2n ** 63n - 1n };
const SOME_IDS = Array.from({ length: 50 }, (_, index) => idOf(index * 1_000));

/** Everything the service asks of the database, as one would see it in production. */
const QUERIES: Record<string, (sql: Sql) => Promise<unknown>> = {
  'claim a batch': (sql) =>
    applyTransitions(
      sql,
      SOME_IDS.map((id) => claim(id, ID)),
      { skipLocked: true },
    ),
  'mark a batch as sent': (sql) => applyTransitions(sql, SOME_IDS.map(enqueue)),
  'settle one': (sql) => applyTransitions(sql, [complete(CLAIM, null)]),
  'cancel one': (sql) => applyTransitions(sql, [cancel(ID)]),
  'insert one': (sql) => insertTasks(sql, [newRow()], 'PENDING'),
  'lock what is due': (sql) => lockDueTasks(sql, 500),
  'find the next due': (sql) => msUntilNextDue(sql),
  'find the expired': (sql) => findExpired(sql, 500),
  'find lost messages': (sql) =>
    touchStalePending(sql, { priority: 'HIGH', olderThanMs: 10_000, limit: 500 }),
  'find overtaken messages': (sql) =>
    touchStalePending(sql, {
      priority: 'HIGH',
      olderThanMs: 60_000,
      queuedBefore: new Date(),
      limit: 500,
    }),
  'find the last that was started': (sql) => lastQueuedOfRunning(sql),
  beat: (sql) => beat(sql, ID, SOME_IDS),
  findLost: (sql) => findLost(sql, [CLAIM]),
  'bury the dead': (sql) => buryDeadWorkers(sql, ID, { silentMs: 15_000, cutOffMs: 2_500 }),
  'find orphans': (sql) => findOrphans(sql, 500),
  'find what it holds': (sql) => findHeld(sql, ID),
  retire: (sql) => retireWorker(sql, ID),
  'store progress': (sql) => storeProgress(sql, [{ claim: CLAIM, progress: 0.5, message: null }]),
  'find by key': (sql) => findByKeys(sql, ['a key']),
  'find some': (sql) => findTasks(sql, SOME_IDS),
  'look at some statuses': (sql) => glanceAt(sql, SOME_IDS),
  'read a present state': (sql) => latestChange(sql, ID),
  'read a history': (sql) => changesOfEach(sql, [{ taskId: ID, version: 0 }]),
  'heal what is watched': (sql) => presentStates(sql, SOME_IDS),
  'follow the changes': (sql) => changesWithin(sql, [LATE, LATEST]),
  'find what is late': (sql) => recentGaps(sql),
  'count them all': (sql) => countByStatus(sql, [LATE]),
  'read a stretch of changes': (sql) => matchingChangesWithin(sql, [LATE, STRETCH], {}),
};

const FILTERS: Record<string, TaskFilter> = {
  nothing: {},
  'a common status': { status: ['COMPLETED'] },
  'a rare status': { status: ['IN_PROGRESS'] },
  'several statuses': { status: ['NEW', 'PENDING'] },
  'a priority': { priority: ['HIGH'] },
  'a status and a priority': { status: ['FAILED'], priority: ['LOW'] },
  'a type': { type: ['simulate'] },
  'a type that nobody has': { type: ['nothing'] },
  'text that many have': { search: 'task' },
  'text that one has': { search: 'number 123456' },
  'a time': { createdAfter: new Date(Date.now() - 3_600_000) },
  'a time and a status': { createdBefore: new Date(Date.now() - 3_600_000), status: ['CANCELLED'] },
  ids: { ids: SOME_IDS },
};

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, log: createLogLines().log });
  await fill();
}, 240_000);

afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

describe.each(['without statistics', 'with statistics'])(`at ${ROWS} tasks, %s`, (when) => {
  beforeAll(async () => {
    if (when === 'with statistics') await database.run({ text: 'analyze' });
  }, 60_000);

  test.each(Object.entries(QUERIES))('%s reads no table from end to end', async (_name, query) => {
    expect(await scans(query)).toEqual([]);
  });

  test('what is expired is found through the index of the deadlines alone', async () => {
    const plan = await plans((sql) => findExpired(sql, 500));
    expect(plan).toContain('Index Scan using tasks_deadline');
  });

  test('a batch of transitions finds its tasks by their ids, and never through the backlog', async () => {
    const plan = await plans((sql) =>
      applyTransitions(
        sql,
        SOME_IDS.map((id) => claim(id, ID)),
        { skipLocked: true },
      ),
    );
    expect(plan).toContain('Index Scan using tasks_pkey');
    expect(plan).not.toContain('tasks_status_id');
  });

  test('what is late is looked for among the latest changes only', async () => {
    const plan = await plans((sql) => recentGaps(sql));
    expect(plan).toMatch(/Index Cond: \(seq >= /);
    expect(plan).not.toContain('Join Filter');
  });

  test.each<TaskFilter>([{ priority: ['HIGH'] }, { type: ['simulate'] }])(
    'a page far down the list by %o begins at its cursor, in the index',
    async (filter) => {
      const page = { limit: 20, olderThan: idOf(ROWS / 2) };
      const plan = await plans((sql) => listTasks(sql, filter, page));
      expect(plan).toMatch(
        /using task_traits_(pkey|priority_id|type_id) .*\n *Index Cond: .*id < /,
      );
    },
  );

  test('a page of what few have in their text is looked for in the index of texts', async () => {
    // Two, since PostgreSQL hopes to come upon the first few of many among the newest, as upon 20 of ten million.
    const page = { limit: 2 };
    const plan = await plans((sql) => listTasks(sql, { search: 'number 123456' }, page));
    expect(plan).toContain('task_traits_search');
  });

  test.each(Object.entries(FILTERS))(
    'a list by %s reads no table from end to end',
    async (_name, filter) => {
      expect(await scans((sql) => listTasks(sql, filter, { limit: 20 }))).toEqual([]);
      expect(await scans((sql) => listTasks(sql, filter, { limit: 20, olderThan: ID }))).toEqual(
        [],
      );
      expect(await scans((sql) => listTasks(sql, filter, { limit: 20, fromOldest: true }))).toEqual(
        [],
      );
      expect(await scans((sql) => countTasks(sql, filter))).toEqual([]);
      const bulk = { statuses: CANCELLABLE_STATUSES, createdUntil: new Date(), limit: 500 };
      expect(await scans((sql) => matchingIds(sql, filter, { ...bulk, after: ID }))).toEqual([]);
      const stretch = (sql: Sql) => matchingChangesWithin(sql, [LATE, STRETCH], filter);
      expect(await scans(stretch)).toEqual([]);
    },
  );
});

test('a plan that was made for an empty table finds each task by its id all the same', async () => {
  const { url, drop } = await createTestDatabase();
  const fresh = openDatabase({ url, log: createLogLines().log, poolSize: 1 });
  try {
    const claims = SOME_IDS.map((id) => claim(id, ID));
    // More often than PostgreSQL tries whether a plan for these very values is worth its while.
    for (let times = 0; times < 10; times += 1) {
      await applyTransitions(fresh, claims, { skipLocked: true });
    }
    const prepared = `select name from pg_prepared_statements where statement like '%skip locked%'`;
    const [{ name } = { name: '' }] = await fresh.run<{ name: string }>({ text: prepared });
    const text = `explain (costs off) execute ${name}('[]')`;
    const plan = (await fresh.run({ text })).map((row) => Object.values(row).join()).join('\n');
    expect(plan).not.toContain('Seq Scan on tasks');
    // It is read twice: to lock, and to update.
    expect(plan.match(/Index Cond: \(id = (w\.id|ANY)/g)).toHaveLength(2);
  } finally {
    await fresh.close();
    await drop();
  }
});

/** The plans that read a large table from end to end, of all statements that `query` runs. */
async function scans(query: (sql: Sql) => Promise<unknown>): Promise<string[]> {
  const found = (await plans(query)).split('\n\n');
  return found.filter((plan) => /Seq Scan on (tasks|task_events|task_traits)/.test(plan));
}

/** The plans of all statements that `query` runs. They are not carried out. */
async function plans(query: (sql: Sql) => Promise<unknown>): Promise<string> {
  const found: string[] = [];
  await query({
    async run({ text }, values = []) {
      if (text.startsWith('explain')) return [];
      const plan = await database.run({ text: `explain (costs off) ${text}` }, values);
      found.push(plan.map((row) => Object.values(row).join()).join('\n'));
      return [];
    },
  });
  return found.join('\n\n');
}

async function fill() {
  const statements = [
    'alter table tasks set (autovacuum_enabled = off)',
    'alter table task_events set (autovacuum_enabled = off)',
    'alter table task_traits set (autovacuum_enabled = off)',
    `
insert into tasks (
  id, title, description, priority, status, type, max_attempts, attempt_budget, attempt, version, created_at, run_at,
  queued_at, finished_at, worker_id, error
)
select
  ('01890000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'task number ' || n, '',
  (array['HIGH', 'MEDIUM', 'LOW'])[1 + n % 3]::task_priority, status::task_status, 'simulate', 3, 3, 1, 3,
  now() - (${ROWS} - n) * interval '1 second', now(), now(),
  case when status in ('COMPLETED', 'FAILED', 'CANCELLED') then now() end,
  case when status = 'IN_PROGRESS' then '${ID}'::uuid end, case when status = 'FAILED' then '{}'::jsonb end
from generate_series(1, ${ROWS}) n
cross join lateral (
  select case
    when n % 50000 = 0 then 'IN_PROGRESS' when n % 200 = 1 then 'NEW' when n % 200 = 2 then 'PENDING'
    when n % 50 = 3 then 'FAILED' when n % 100 = 4 then 'CANCELLED' else 'COMPLETED'
  end as status
) s`,
    `
insert into task_events (task_id, version, status, attempt, previous_status)
select id, 3, status, 1, 'PENDING' from tasks`,
  ];
  // Filling takes longer than any statement of the service may.
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: testDatabase.url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function idOf(n: number): string {
  return `01890000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

function newRow() {
  return {
    id: ID,
    title: 'a task',
    description: '',
    priority: 'HIGH',
    type: 'simulate',
    payload: null,
    runAt: null,
    expiresAt: null,
    ttlSeconds: null,
    maxAttempts: 3,
    timeoutSeconds: null,
    retry: null,
    idempotencyKey: 'a key',
    inputHash: Buffer.from('a hash'),
  } as const;
}

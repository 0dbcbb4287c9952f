import type { Task, TaskChange } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import { filterSql } from './filter-sql.ts';
import type { Sql, Statement } from './sql.ts';
import {
  type ChangeRow,
  EVENT_COLUMNS,
  LIGHT_TASK_COLUMNS,
  SLIGHT_TASK_COLUMNS,
  toChange,
} from './task-rows.ts';

/** How many changes a read brings at most. Part of the statements: their plans must count on it. */
export const PAGE = 500;

/** The latest change of a task, which tells its present state; undefined when there is no such task. */
export async function latestChange(sql: Sql, taskId: string): Promise<TaskChange | undefined> {
  const [row] = await sql.run<ChangeRow>(LATEST, [taskId]);
  return row && toChange(row);
}

/** What happened to a task after a version. */
export interface HistoryRequest {
  readonly taskId: string;
  readonly version: number;
}

/** For each request the first PAGE changes, in order. Each comes with the task as it is now. */
export async function changesOfEach(
  sql: Sql,
  requests: readonly HistoryRequest[],
): Promise<TaskChange[][]> {
  const rows = await sql.run<ChangeRow & { ordinal: number }>(AFTER_VERSION, [
    requests.map(({ taskId }) => taskId),
    requests.map(({ version }) => version),
  ]);
  const histories = requests.map((): TaskChange[] => []);
  for (const row of rows) histories[row.ordinal - 1]?.push(toChange(row));
  return histories;
}

/** How often a task was given back for this reason, since a client last retried it. */
export async function timesGivenBack(sql: Sql, taskId: string, reason: string): Promise<number> {
  const [row] = await sql.run<{ times: number }>(TIMES_GIVEN_BACK, [taskId, reason]);
  return row?.times ?? 0;
}

/** Seqs from the first to the last, both included. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Which transactions a read could see: all numbered below `over` had ended, none from `next` on had begun to write. */
export interface Snapshot {
  over: bigint;
  next: bigint;
}

/** The first PAGE changes within the ranges in order of seq, each with its task as it is now, and what the read saw. */
export async function changesWithin(
  sql: Sql,
  ranges: readonly Range[],
): Promise<{ changes: TaskChange[]; snapshot: Snapshot }> {
  const rows = await sql.run<(ChangeRow | Nothing) & SnapshotRow>(WITHIN, boundsOf(ranges));
  const changes: TaskChange[] = [];
  for (const { over: _over, next: _next, ...row } of rows)
    if (row.id !== null) changes.push(toChange(row));
  return { changes, snapshot: toSnapshot(rows[0]) };
}

/** The first PAGE changes within the ranges, in order of seq, of tasks that match now; each with its task as it is now. */
export async function matchingChangesWithin(
  sql: Sql,
  ranges: readonly Range[],
  filter: Omit<TaskFilter, 'status'>,
): Promise<TaskChange[]> {
  const { text, values } = filterSql({ ...filter, status: null });
  const [firsts, lasts] = boundsOf(ranges).map((bounds) => `$${values.push(bounds)}::bigint[]`);
  const rows = await sql.run<ChangeRow>(
    {
      text: `
select c.*
from unnest(${firsts}, ${lasts}) as r(first, last)
cross join lateral (
  select ${SLIGHT_TASK_COLUMNS}, ${EVENT_COLUMNS}
  from task_events e
  join tasks t on t.id = e.task_id
  where e.seq between r.first and r.last and ${text}
  order by e.seq
  limit ${PAGE}
) c
order by c."eventSeq"
limit ${PAGE}`,
    },
    values,
  );
  return rows.map(toChange);
}

/**
 * The seqs that are missing among the latest changes, the newest that is there (0 when there is none), and the greatest
 * that was ever deleted (0 when none was).
 */
export async function recentGaps(
  sql: Sql,
): Promise<{ newest: bigint; gaps: Range[]; snapshot: Snapshot; horizon: bigint }> {
  const [row] = await sql.run<
    SnapshotRow & { newest: string; firsts: string[]; lasts: string[]; horizon: string }
  >(RECENT_GAPS);
  const gaps = row?.firsts.map((first, i) => ({
    first: BigInt(first),
    last: BigInt(row.lasts[i] ?? first),
  }));
  return {
    newest: BigInt(row?.newest ?? 0),
    gaps: gaps ?? [],
    snapshot: toSnapshot(row),
    horizon: BigInt(row?.horizon ?? 0),
  };
}

/** The greatest seq that was ever deleted; 0 when none was. */
export async function eventHorizon(sql: Sql): Promise<bigint> {
  const [row] = await sql.run<{ seq: string }>(HORIZON);
  return BigInt(row?.seq ?? 0);
}

/** What a task that is watched shows of itself. */
export interface TaskState
  extends Pick<Task, 'id' | 'version' | 'status' | 'attempt' | 'progress'> {
  message: string | null;
  /** When it was read, by the database's clock. */
  at: Date;
}

/** The present state of each of these tasks that exists. */
export async function presentStates(sql: Sql, taskIds: readonly string[]): Promise<TaskState[]> {
  return sql.run(STATES, [taskIds]);
}

const LATEST: Statement = {
  name: 'latest_change',
  text: `
select ${LIGHT_TASK_COLUMNS}, ${EVENT_COLUMNS}
from tasks t
join task_events e on e.task_id = t.id and e.version = t.version
where t.id = $1`,
};

const AFTER_VERSION: Statement = {
  name: 'changes_of_each',
  // Each request is read on its own, so that the key of the events serves it whatever the planner thinks of the others.
  text: `
select r.ordinal::int as ordinal, c.*
from unnest($1::uuid[], $2::int[]) with ordinality as r(task_id, version, ordinal)
cross join lateral (
  select ${SLIGHT_TASK_COLUMNS}, ${EVENT_COLUMNS}
  from task_events e
  join tasks t on t.id = e.task_id
  where e.task_id = r.task_id and e.version > r.version
  order by e.version
  limit ${PAGE}
) c
order by r.ordinal, c."eventVersion"`,
};

const TIMES_GIVEN_BACK: Statement = {
  name: 'times_given_back',
  text: `
select count(*)::int as times
from task_events e
where e.task_id = $1 and e.reason = $2 and e.version > coalesce((
  select max(retried.version) from task_events retried
  where retried.task_id = $1 and retried.previous_status::text in ('FAILED', 'CANCELLED')
), 0)`,
};

const HORIZON: Statement = { name: 'event_horizon', text: 'select seq from event_horizon' };

const STATES: Statement = {
  name: 'present_states',
  text: `
select t.id, t.version, t.status, t.attempt, t.progress, t.progress_message as message, now() as at
from tasks t
where t.id = any ($1::uuid[])`,
};

/** PostgreSQL's bigint, which node-pg leaves as text. */
interface SnapshotRow {
  over: string;
  next: string;
}

/** Of the one row that a read brings when there is no change. */
type Nothing = { [column in keyof ChangeRow]: null };

function toSnapshot(row: SnapshotRow | undefined): Snapshot {
  return { over: BigInt(row?.over ?? 0), next: BigInt(row?.next ?? 0) };
}

export function boundsOf(ranges: readonly Range[]): [bigint[], bigint[]] {
  return [ranges.map(({ first }) => first), ranges.map(({ last }) => last)];
}

// The xmax of a snapshot is the one after the last that has ended; open ones may lie beyond. Its age leads to the next.
const SNAPSHOT = `
  pg_snapshot_xmin(pg_current_snapshot())::text::bigint as over,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint + age(pg_snapshot_xmax(pg_current_snapshot())::xid) as next`;

const WITHIN: Statement = {
  name: 'changes_within',
  // Each range is read on its own, so that the index on seq serves it whatever the planner thinks of the others; the
  // tasks are joined to the few changes that are left.
  text: `
select s.over, s.next, c.*
from (select ${SNAPSHOT}) s
left join (
  select ${LIGHT_TASK_COLUMNS}, ${EVENT_COLUMNS}
  from (
    select e.*
    from unnest($1::bigint[], $2::bigint[]) as r(first, last)
    cross join lateral (
      select * from task_events e where e.seq between r.first and r.last order by e.seq limit ${PAGE}
    ) e
    order by e.seq
    limit ${PAGE}
  ) e
  join tasks t on t.id = e.task_id
) c on true
order by c."eventSeq"`,
};

/** How many seqs back a transaction that is still open may have written: the first of these that is back far enough. */
const RECENT = [20_000, 80_000, 320_000, 1_280_000];

const RECENT_GAPS: Statement = {
  name: 'recent_gaps',
  // Where there is no change that is old enough, those before the first that is left may be missing as well. The seq to
  // start from is asked for by itself, or the planner may join the whole of the table with it.
  text: `
with start as materialized (
  select coalesce(max(o.seq), 0) as seq
  from (select max(seq) as seq from task_events) n
  cross join unnest(array[${RECENT.join()}]) r(back)
  cross join lateral (
    select e.seq, e.at from task_events e where e.seq <= n.seq - r.back order by e.seq desc limit 1
  ) o
  -- None is open for as long as a minute: see the timeouts in database.ts.
  where r.back = ${Math.max(...RECENT)} or o.at < now() - interval '1 minute'
)
select ${SNAPSHOT},
  (select seq::text from event_horizon) as horizon,
  coalesce(max(e.seq), 0)::text as newest,
  coalesce(array_agg((e.before + 1)::text order by e.seq) filter (where e.seq > e.before + 1), '{}') as firsts,
  coalesce(array_agg((e.seq - 1)::text order by e.seq) filter (where e.seq > e.before + 1), '{}') as lasts
from (
  select
    recent.seq,
    lag(recent.seq, 1, (select case seq when 0 then (select seq from event_horizon) end from start))
      over (order by recent.seq) as before
  from (select e.seq from task_events e where e.seq >= (select seq from start)) recent
) e`,
};

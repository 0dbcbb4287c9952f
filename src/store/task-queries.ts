import type { Task, TaskStatus } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Database } from './database.ts';
import { databaseUnavailable } from './database-errors.ts';
import { type Search, searchSql } from './filter-sql.ts';
import type { Sql, Statement } from './sql.ts';
import { TASK_COLUMNS } from './task-rows.ts';

/** What a GraphQL selection wants to have read along with a task. */
export type TaskQuery = Pick<Prisma.TaskFindUniqueArgs, 'include'>;

/** A stretch of the list of tasks, newest first. Ids are keys in it, whether or not such tasks still exist. */
export interface PageRequest {
  limit: number;
  /** Only what comes after this one in the list. */
  olderThan?: string | undefined;
  /** Only what comes before this one in the list. */
  newerThan?: string | undefined;
  /** Take the last `limit` of the stretch instead of the first. */
  fromOldest?: boolean;
  /** Leave out this many, counted from where the page starts. */
  skip?: number;
}

export interface Page {
  /** Newest first. */
  tasks: Task[];
  /** Whether the stretch goes on beyond the page, in the direction in which it was read. */
  hasMore: boolean;
}

/** Counts are exact up to here, and estimates above. */
export const EXACT_COUNT_LIMIT = 10_000;

/** Those of them that there are, in any order. */
export function findTasks(sql: Sql, ids: readonly string[]): Promise<Task[]> {
  return sql.run<Task>(BY_IDS, [ids]);
}

/** The task together with what `query` includes. */
export async function findTaskGraph(
  { prisma }: Database,
  id: string,
  query: TaskQuery,
): Promise<Task | null> {
  try {
    // Prisma types JSON columns loosely; what they hold was checked when it was written.
    return (await prisma.task.findUnique({ ...query, where: { id } })) as Task | null;
  } catch (error) {
    throw databaseUnavailable(error) ?? error;
  }
}

/** Where a task stood at a moment. */
export interface Glance {
  /** Undefined when there was no such task, or none that was committed. */
  status: TaskStatus | undefined;
  version: number | undefined;
  /** The moment, by the database's clock. */
  now: Date;
}

/** @returns what it saw of each of them */
export async function glanceAt(sql: Sql, ids: readonly string[]): Promise<(id: string) => Glance> {
  const rows = ids.length === 0 ? [] : await sql.run<GlanceRow>(GLANCE, [ids]);
  const seen = new Map(rows.map(({ id, ...glance }) => [id, glance]));
  return (id) => {
    const { status, version, now } = seen.get(id) ?? NOTHING_SEEN;
    return { status: status ?? undefined, version: version ?? undefined, now };
  };
}

interface GlanceRow {
  id: string;
  status: TaskStatus | null;
  version: number | null;
  now: Date;
}

const NOTHING_SEEN = { status: null, version: null, now: new Date(0) };

export async function listTasks(sql: Sql, filter: TaskFilter, page: PageRequest): Promise<Page> {
  const { limit, olderThan, newerThan, fromOldest = false, skip = 0 } = page;
  const { from, text, values, idBound } = searchSql(filter);
  const bounds = [
    { key: olderThan, operator: '<' },
    { key: newerThan, operator: '>' },
  ] as const;
  const within = bounds.flatMap(({ key, operator }) => {
    return key === undefined ? [] : [idBound(operator, `$${values.push(key)}`)];
  });
  const rows = await sql.run<Task>(
    {
      text: `
select ${TASK_COLUMNS}
from ${from}
where ${[text, ...within].join(' and ')}
order by t.id ${fromOldest ? 'asc' : 'desc'}
limit $${values.push(limit + 1)} offset $${values.push(skip)}`,
    },
    values,
  );
  const tasks = rows.slice(0, limit);
  return { tasks: fromOldest ? tasks.reverse() : tasks, hasMore: rows.length > limit };
}

/**
 * Number of tasks that match: exact up to EXACT_COUNT_LIMIT, the planner's estimate above. In a large table it is asked
 * first: to count up to the limit what is thinly spread would be to read most of it.
 */
export async function countTasks(sql: Sql, filter: TaskFilter): Promise<number> {
  const search = searchSql(filter);
  const { from, text, values } = search;
  const estimate = (await isLarge(sql)) ? await estimateCount(sql, search) : 0;
  if (estimate > SURELY_MANY) return estimate;
  const atMost = EXACT_COUNT_LIMIT + 1;
  const [row] = await sql.run<{ count: number }>(
    {
      text: `
select count(*)::int as count
from (select from ${from} where ${text} order by t.id desc limit ${atMost}) found`,
    },
    values,
  );
  const counted = row?.count ?? 0;
  if (counted < atMost) return counted;
  return Math.max(atMost, estimate || (await estimateCount(sql, search)));
}

/** An estimate above this is not believed to be wrong by so much that an exact count was called for. */
const SURELY_MANY = 2 * EXACT_COUNT_LIMIT;
/** Rows that can be read from end to end while somebody waits. */
const LARGE = 200_000;

async function isLarge(sql: Sql): Promise<boolean> {
  const [table] = await sql.run<{ rows: number }>(ROWS);
  return (table?.rows ?? 0) > LARGE;
}

async function estimateCount(sql: Sql, { from, text, values }: Search): Promise<number> {
  const [plan] = await sql.run<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    { text: `explain (format json) select from ${from} where ${text}` },
    values,
  );
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0;
}

const ROWS: Statement = {
  name: 'rows_of_tasks',
  text: `select reltuples as rows from pg_class where oid = 'tasks'::regclass`,
};

const BY_IDS: Statement = {
  name: 'tasks_by_id',
  text: `select ${TASK_COLUMNS} from tasks t where t.id = any ($1::uuid[])`,
};

const GLANCE: Statement = {
  name: 'glance_at_tasks',
  text: `
select wanted.id, t.status, t.version, now() as now
from unnest($1::uuid[]) as wanted (id)
left join tasks t on t.id = wanted.id`,
};

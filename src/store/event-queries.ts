import type { TaskChange } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import type { Sql, Statement } from './database.ts';
import { filterSql } from './filter-sql.ts';
import { type ChangeRow, EVENT_COLUMNS, TASK_COLUMNS, toChange } from './task-rows.ts';

/** The latest change of a task, which tells its present state; undefined when there is no such task. */
export async function latestChange(sql: Sql, taskId: string): Promise<TaskChange | undefined> {
  const [row] = await sql.run<ChangeRow>(LATEST, [taskId]);
  return row && toChange(row);
}

/** A task's changes after `version`, in order. Each comes with the task as it is now. */
export async function changesOf(
  sql: Sql,
  taskId: string,
  version: number,
  limit: number,
): Promise<TaskChange[]> {
  const rows = await sql.run<ChangeRow>(AFTER_VERSION, [taskId, version, limit]);
  return rows.map(toChange);
}

/** Changes after `seq` of tasks that match now, in order of seq. Each comes with its task as it is now. */
export async function changesAfter(
  sql: Sql,
  filter: Omit<TaskFilter, 'status'>,
  seq: bigint,
  limit: number,
): Promise<TaskChange[]> {
  const { text, values } = filterSql({ ...filter, status: null });
  const after = `$${values.push(seq)}`;
  const rows = await sql.run<ChangeRow>(
    {
      text: `
select ${TASK_COLUMNS}, ${EVENT_COLUMNS}
from task_events e
join tasks t on t.id = e.task_id
where e.seq > ${after} and ${text}
order by e.seq
limit $${values.push(limit)}`,
    },
    values,
  );
  return rows.map(toChange);
}

/** The newest seq there is, 0 when nothing has happened yet. */
export async function newestSeq(sql: Sql): Promise<bigint> {
  const [row] = await sql.run<{ seq: string | null }>(NEWEST_SEQ);
  return BigInt(row?.seq ?? 0);
}

/** The present version of each of these tasks that exists. */
export async function presentVersions(
  sql: Sql,
  taskIds: readonly string[],
): Promise<{ id: string; version: number }[]> {
  return sql.run(VERSIONS, [taskIds]);
}

const LATEST: Statement = {
  name: 'latest_change',
  text: `
select ${TASK_COLUMNS}, ${EVENT_COLUMNS}
from tasks t
join task_events e on e.task_id = t.id and e.version = t.version
where t.id = $1`,
};

const AFTER_VERSION: Statement = {
  name: 'changes_of_task',
  text: `
select ${TASK_COLUMNS}, ${EVENT_COLUMNS}
from task_events e
join tasks t on t.id = e.task_id
where e.task_id = $1 and e.version > $2
order by e.version
limit $3`,
};

const VERSIONS: Statement = {
  name: 'present_versions',
  text: 'select t.id, t.version from tasks t where t.id = any ($1::uuid[])',
};

const NEWEST_SEQ: Statement = {
  name: 'newest_seq',
  text: 'select max(seq) as seq from task_events',
};

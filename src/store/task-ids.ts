import type { TaskStatus } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import { searchSql } from './filter-sql.ts';
import type { Sql, Statement } from './sql.ts';

/**
 * A page of the tasks that match, oldest first.
 *
 * @param filter whose `status` does not count here
 * @param page.statuses each is read from an index of its own, so that rare ones are found among millions of others
 * @param page.createdUntil only those that were created by then
 * @param page.after only what comes after this id
 */
export async function matchingIds(
  sql: Sql,
  filter: Omit<TaskFilter, 'status'>,
  page: {
    statuses: readonly TaskStatus[];
    createdUntil: Date;
    after: string | undefined;
    limit: number;
  },
): Promise<string[]> {
  const { from, text, values, idBound } = searchSql({ ...filter, status: null });
  const statuses = `$${values.push(page.statuses)}`;
  const createdUntil = `$${values.push(page.createdUntil)}`;
  const limit = `$${values.push(page.limit)}`;
  const after = page.after === undefined ? 'true' : idBound('>', `$${values.push(page.after)}`);
  const rows = await sql.run<{ id: string }>(
    {
      text: `
select found.id
from unnest(${statuses}::task_status[]) as wanted(status)
cross join lateral (
  select t.id
  from ${from}
  where t.status = wanted.status and t.created_at <= ${createdUntil}::timestamptz and ${text} and ${after}
  order by t.id
  limit ${limit}
) found
order by found.id
limit ${limit}`,
    },
    values,
  );
  return rows.map(({ id }) => id);
}

/** The time by the database's clock, as `created_at` would hold it. */
export async function databaseTime(sql: Sql): Promise<Date> {
  const [row] = await sql.run<{ now: Date }>(NOW);
  if (row === undefined) throw new Error('The database did not tell the time.');
  return row.now;
}

const NOW: Statement = { name: 'database_time', text: 'select now()::timestamptz(3) as now' };

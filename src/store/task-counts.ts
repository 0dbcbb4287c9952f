import { TASK_STATUSES, type TaskPriority, type TaskStatus } from '../domain/task.ts';
import { boundsOf, type Range } from './event-queries.ts';
import type { Sql, Statement } from './sql.ts';

export interface TaskCount {
  status: TaskStatus;
  priority: TaskPriority;
  count: number;
}

/**
 * Counts all tasks, so not to be done often: takes half a second for a million, whatever is in them. Most of them are
 * COMPLETED by far. How many those are is what is left of all tasks of a priority, which an index alone tells, without the
 * others.
 *
 * @returns with the counts, which of the changes within the ranges they include, and the horizon (`eventHorizon`)
 */
export async function countByStatus(
  sql: Sql,
  ranges: readonly Range[],
): Promise<{ counts: TaskCount[]; included: bigint[]; horizon: bigint }> {
  const [row] = await sql.run<{ counts: TaskCount[]; included: string[]; horizon: string }>(
    COUNT,
    boundsOf(ranges),
  );
  return {
    counts: row?.counts ?? [],
    included: row?.included.map(BigInt) ?? [],
    horizon: BigInt(row?.horizon ?? 0),
  };
}

const OTHERS = TASK_STATUSES.filter((status) => status !== 'COMPLETED');

const COUNT: Statement = {
  name: 'count_by_status',
  // One statement, so that all parts of it see the same.
  text: `
select
  (
    with every as (
      select priority, count(*) as count from task_traits group by priority
    ),
    others as (
      select status, priority, count(*) as count
      from tasks
      where status in (${OTHERS.map((status) => `'${status}'`).join(', ')})
      group by status, priority
    )
    select coalesce(jsonb_agg(c), '[]')
    from (
      select status, priority, count from others
      union all
      select 'COMPLETED', e.priority, e.count - coalesce((select sum(o.count) from others o where o.priority = e.priority), 0)
      from every e
    ) c
  ) as counts,
  (
    select coalesce(array_agg(e.seq::text), '{}')
    from unnest($1::bigint[], $2::bigint[]) as r(first, last)
    join task_events e on e.seq between r.first and r.last
  ) as included,
  (select seq from event_horizon) as horizon`,
};

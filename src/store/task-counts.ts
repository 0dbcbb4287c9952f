import type { TaskPriority, TaskStatus } from '../domain/task.ts';
import { boundsOf, type Range } from './event-queries.ts';
import type { Sql, Statement } from './sql.ts';

export interface TaskCount {
  status: TaskStatus;
  priority: TaskPriority;
  count: number;
}

/**
 * Counts all tasks: looks at each of them, so not to be done often.
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

const COUNT: Statement = {
  name: 'count_by_status',
  // One statement, so that all parts of it see the same.
  text: `
select
  (
    select coalesce(jsonb_agg(c), '[]')
    from (select status, priority, count(*) as count from tasks group by status, priority) c
  ) as counts,
  (
    select coalesce(array_agg(e.seq::text), '{}')
    from unnest($1::bigint[], $2::bigint[]) as r(first, last)
    join task_events e on e.seq between r.first and r.last
  ) as included,
  (select seq from event_horizon) as horizon`,
};

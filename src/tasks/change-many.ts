import type { TaskStatus } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import type { Transition } from '../domain/transitions.ts';
import type { Sql } from '../store/sql.ts';
import { databaseTime, matchingIds } from '../store/task-ids.ts';
import { type Advance, happened } from './advance.ts';

const BATCH = 500;

/**
 * Changes all tasks that match, each at most once, and none that was created after it began. One whose status does not
 * allow the change, or that has left the statuses of the filter meanwhile, is passed over.
 *
 * Each batch commits by itself: a failure leaves the earlier ones changed, and the call may be repeated.
 *
 * @param from the statuses that the transition may leave
 * @returns how many it changed
 */
export async function changeMany(options: {
  filter: TaskFilter;
  from: readonly TaskStatus[];
  transition: (taskId: string) => Transition;
  sql: Sql;
  advance: Advance;
}): Promise<number> {
  const { filter, from, transition, sql, advance } = options;
  const statuses = from.filter((status) => filter.status?.includes(status) ?? true);
  const createdUntil = await databaseTime(sql);
  let count = 0;
  let after: string | undefined;
  for (;;) {
    const ids = await matchingIds(sql, filter, { statuses, createdUntil, after, limit: BATCH });
    const changes = await advance(ids.map((id) => leavingOnly(statuses, transition(id))));
    count += happened(changes).length;
    if (ids.length < BATCH) return count;
    after = ids.at(-1);
  }
}

/** Who asked for PENDING tasks did not mean one that has started since. */
function leavingOnly(status: readonly TaskStatus[], transition: Transition): Transition {
  return { ...transition, guard: { ...transition.guard, status } };
}

import type { TaskPriority } from '../domain/task.ts';
import type { Sql, Statement } from './sql.ts';

export interface QueuedTask {
  id: string;
  priority: TaskPriority;
}

/**
 * Locks NEW tasks that are due, oldest due first, passing over those that another dispatcher holds.
 * The locks last until the transaction ends.
 */
export async function lockDueTasks(tx: Sql, limit: number): Promise<QueuedTask[]> {
  return tx.run<QueuedTask>(LOCK_DUE, [limit]);
}

/** Milliseconds until the next NEW task is due, by the database's clock; undefined when none waits. */
export async function msUntilNextDue(sql: Sql): Promise<number | undefined> {
  const [row] = await sql.run<{ ms: number | null }>(NEXT_DUE);
  return row?.ms ?? undefined;
}

/**
 * PENDING tasks of one priority whose message was confirmed longer ago than `olderThanMs`, marked as confirmed again
 * right now, because the caller is about to publish them once more.
 */
export async function touchStalePending(
  tx: Sql,
  options: { priority: TaskPriority; olderThanMs: number; limit: number },
): Promise<QueuedTask[]> {
  return tx.run<QueuedTask>(TOUCH_STALE, [options.priority, options.olderThanMs, options.limit]);
}

const LOCK_DUE: Statement = {
  name: 'lock_due_tasks',
  text: `
select id, priority
from tasks
where status = 'NEW' and run_at <= now()
order by run_at, id
limit $1
for update skip locked`,
};

const NEXT_DUE: Statement = {
  name: 'next_due',
  text: `
select greatest(0, extract(epoch from run_at - now()) * 1000)::float8 as ms
from tasks
where status = 'NEW'
order by run_at, id
limit 1`,
};

const TOUCH_STALE: Statement = {
  name: 'touch_stale_pending',
  text: `
with stale as (
  select id
  from tasks
  where status = 'PENDING' and priority = $1::task_priority and queued_at < now() - $2::float8 * interval '1 ms'
  order by queued_at
  limit $3
  for update skip locked
)
update tasks t
set queued_at = now()
from stale s
where t.id = s.id
returning t.id, t.priority`,
};

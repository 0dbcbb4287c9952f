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
 * PENDING tasks of one priority whose message was confirmed longer ago than `olderThanMs`, and before `queuedBefore` if
 * that is given; marked as confirmed again right now, because the caller is about to publish them once more.
 */
export async function touchStalePending(
  tx: Sql,
  options: { priority: TaskPriority; olderThanMs: number; queuedBefore?: Date; limit: number },
): Promise<QueuedTask[]> {
  const { priority, olderThanMs, queuedBefore = null, limit } = options;
  return tx.run<QueuedTask>(TOUCH_STALE, [priority, olderThanMs, queuedBefore, limit]);
}

/**
 * For each priority that has tasks in progress, when the one of them that was queued last was queued. Taken from the
 * history: `queued_at` of a task that was sent again is later than the message that it may have been claimed by.
 */
export async function lastQueuedOfRunning(
  sql: Sql,
): Promise<{ priority: TaskPriority; queuedAt: Date }[]> {
  return sql.run(LAST_QUEUED_OF_RUNNING);
}

/** Tasks that no run has started by their deadline. */
export async function findExpired(sql: Sql, limit: number): Promise<string[]> {
  const rows = await sql.run<{ id: string }>(EXPIRED, [limit]);
  return rows.map(({ id }) => id);
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
  // `least` passes over a null. As one bound it ends the scan of the index, where a second condition would only filter.
  text: `
with stale as (
  select id
  from tasks
  where status = 'PENDING'
    and priority = $1::task_priority
    and queued_at < least(now() - $2::float8 * interval '1 ms', $3::timestamptz)
  order by queued_at
  limit $4
  for update skip locked
)
update tasks t
set queued_at = now()
from stale s
where t.id = s.id
returning t.id, t.priority`,
};

const LAST_QUEUED_OF_RUNNING: Statement = {
  name: 'last_queued_of_running',
  // Not a join: a planner without statistics would read all of the history for it.
  text: `
select priority, "queuedAt"
from (
  select t.priority, max((
    select e.at
    from task_events e
    where e.task_id = t.id and e.version = t.version - 1 and e.status = 'PENDING'
  )) as "queuedAt"
  from tasks t
  where t.status = 'IN_PROGRESS'
  group by t.priority
) running
where "queuedAt" is not null`,
};

const EXPIRED: Statement = {
  name: 'find_expired',
  text: `
select id
from tasks
where status in ('NEW', 'PENDING') and started_at is null and expires_at <= now()
order by expires_at
limit $1`,
};

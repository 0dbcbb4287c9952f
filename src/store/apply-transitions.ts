import type { TaskChange } from '../domain/task.ts';
import type { Transition } from '../domain/transitions.ts';
import type { Sql, Statement } from './sql.ts';
import { type ChangeRow, EVENT_COLUMNS, TASK_COLUMNS, toChange } from './task-rows.ts';

/**
 * Applies each transition whose guard still holds, and writes its event, in one statement.
 *
 * @param transitions at most one per task
 * @param options.skipLocked leaves out the rows that others hold right now, instead of waiting for them
 * @returns what happened, in the order of the input; undefined where the guard no longer held, or the row was left out
 */
export async function applyTransitions(
  sql: Sql,
  transitions: readonly Transition[],
  { skipLocked = false } = {},
): Promise<(TaskChange | undefined)[]> {
  if (transitions.length === 0) return [];
  const wanted = transitions.map(({ taskId, guard, patch, reason, outcome }, ordinal) => ({
    ordinal,
    id: taskId,
    from_status: guard.status,
    from_version: guard.version,
    due: guard.due,
    deadline: guard.deadline,
    status: patch.status,
    attempt_delta: patch.attemptDelta,
    renew: patch.renew,
    worker_deaths: patch.workerDeaths,
    run_after_ms: patch.runAfterMs,
    worker_id: patch.workerId,
    result: patch.result,
    error: patch.error,
    reason,
    outcome,
  }));
  const rows = await sql.run<ChangeRow & { ordinal: number }>(skipLocked ? APPLY_TO_FREE : APPLY, [
    JSON.stringify(wanted),
  ]);
  const changes = new Array<TaskChange | undefined>(transitions.length).fill(undefined);
  for (const row of rows) changes[row.ordinal] = toChange(row);
  return changes;
}

const APPLY = statement('apply_transitions', 'for update');
const APPLY_TO_FREE = statement('apply_transitions_to_free', 'for update skip locked');

function statement(name: string, lock: string): Statement {
  // `locked` takes the rows in the order of their ids, so that two batches cannot deadlock, and sees each row as its
  // latest committed version. Each is looked up by its id, whatever the planner believes: a plan that was made for a
  // small table would else read it from end to end for every batch until somebody analyses it. And the guard compares
  // the status as text: an index on status must not serve it, or the whole backlog is read.
  const text = `
with wanted as (
  select *
  from jsonb_to_recordset($1::jsonb) as w(
    ordinal int, id uuid, from_status text[], from_version int, due boolean, deadline text, status task_status,
    attempt_delta int, renew boolean, worker_deaths int, run_after_ms float8, worker_id uuid, result jsonb, error jsonb,
    reason text, outcome attempt_outcome
  )
),
locked as (
  select w.*, t.previous_status, t.previous_worker_id
  from (select * from wanted order by id) w
  cross join lateral (
    select t.status as previous_status, t.worker_id as previous_worker_id
    from tasks t
    where t.id = w.id
      and t.status::text = any (w.from_status)
      and (w.from_version is null or t.version = w.from_version)
      and (w.due is null or t.status <> 'NEW' or t.run_at <= now())
      and (
        w.deadline is null
        or (w.deadline = 'MISSED') = (t.started_at is null and t.expires_at is not null and t.expires_at <= now())
      )
    ${lock}
  ) t
),
changed as (
  update tasks t
  set status = l.status,
      version = t.version + 1,
      attempt = t.attempt + coalesce(l.attempt_delta, 0),
      max_attempts = t.max_attempts + case when l.renew then t.attempt_budget else 0 end,
      worker_deaths = case when l.renew then 0 else t.worker_deaths + coalesce(l.worker_deaths, 0) end,
      run_at = case when l.run_after_ms is null then t.run_at else now() + l.run_after_ms * interval '1 ms' end,
      expires_at = case when l.renew then null else t.expires_at end,
      queued_at = case when l.status = 'PENDING' then now() else t.queued_at end,
      started_at = case when l.status = 'IN_PROGRESS' then now() else t.started_at end,
      finished_at = case when l.status in ('COMPLETED', 'FAILED', 'CANCELLED') then now() end,
      worker_id = l.worker_id,
      result = l.result,
      error = coalesce(l.error, t.error),
      progress = case
        when l.status = 'IN_PROGRESS' then null
        when l.status = 'COMPLETED' and t.progress is not null then 1
        else t.progress
      end,
      progress_message = case when l.status = 'IN_PROGRESS' then null else t.progress_message end
  from locked l
  where t.id = l.id and t.id = any (array(select id from locked))
  returning t.*, l.ordinal, l.previous_status, l.reason, l.error as failure,
    case when l.previous_status = 'IN_PROGRESS' then l.outcome end as outcome,
    coalesce(l.worker_id, l.previous_worker_id) as event_worker_id,
    nextval('task_events_seq_seq') as event_seq, now()::timestamptz(3) as event_at
),
-- Its rows are not read back: to join them with their tasks took longer than the rest, in a batch of hundreds.
history as (
  insert into task_events (task_id, version, seq, status, previous_status, attempt, at, reason, outcome, worker_id, error)
  select
    c.id, c.version, c.event_seq, c.status, c.previous_status, c.attempt, c.event_at, c.reason, c.outcome,
    c.event_worker_id, c.failure
  from changed c
)
select t.ordinal, ${TASK_COLUMNS}, ${EVENT_COLUMNS}
from changed t
cross join lateral (
  select
    t.version, t.event_seq as seq, t.status, t.attempt, t.previous_status, t.event_at as at, t.reason, t.outcome,
    t.event_worker_id as worker_id, t.failure as error
) e`;
  return { name, text };
}

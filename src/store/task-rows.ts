import type { TaskChange } from '../domain/task.ts';

/** A task's columns under the names of `Task`, read from the relation `t`. */
export const TASK_COLUMNS = `
    t.id, t.title, t.description, t.priority, t.status, t.type, t.payload, t.result, t.error, t.attempt,
    t.max_attempts as "maxAttempts", t.attempt_budget as "attemptBudget", t.timeout_seconds as "timeoutSeconds",
    t.retry, t.progress, t.progress_message as "progressMessage", t.version, t.worker_id as "workerId",
    t.created_at as "createdAt", t.run_at as "runAt", t.expires_at as "expiresAt", t.queued_at as "queuedAt",
    t.started_at as "startedAt", t.finished_at as "finishedAt"`;

/** An event's columns, read from the relation `e`, under names that do not clash with the task's. */
export const EVENT_COLUMNS = `
    e.version as "eventVersion", e.seq as "eventSeq", e.status as "eventStatus", e.attempt as "eventAttempt",
    e.previous_status as "previousStatus", e.at, e.reason, e.outcome, e.worker_id as "eventWorkerId",
    e.error as "eventError"`;

/** A row of TASK_COLUMNS and EVENT_COLUMNS. */
export type ChangeRow = TaskChange['task'] &
  Pick<TaskChange['event'], 'previousStatus' | 'at' | 'reason' | 'outcome'> & {
    eventVersion: number;
    /** PostgreSQL's bigint, which node-pg leaves as text. */
    eventSeq: string;
    eventStatus: TaskChange['event']['status'];
    eventAttempt: number;
    eventWorkerId: string | null;
    eventError: TaskChange['event']['error'];
  };

export function toChange(row: ChangeRow): TaskChange {
  const {
    eventVersion,
    eventSeq,
    eventStatus,
    eventAttempt,
    eventWorkerId,
    eventError,
    previousStatus,
    at,
    reason,
    outcome,
    ...task
  } = row;
  return {
    task,
    event: {
      taskId: task.id,
      version: eventVersion,
      seq: BigInt(eventSeq),
      status: eventStatus,
      previousStatus,
      attempt: eventAttempt,
      at,
      reason,
      outcome,
      workerId: eventWorkerId,
      error: eventError,
    },
  };
}

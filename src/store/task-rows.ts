import {
  type LargeField,
  MAX_CARRIED_LENGTH,
  type Task,
  type TaskChange,
  type TaskEvent,
} from '../domain/task.ts';

/** A task's columns under the names of `Task`, read from the relation `t`. */
export const TASK_COLUMNS = taskColumns('t.payload, t.result');

/** The same for those who read many tasks to pass them on: what is large is left out, and it is said which (`omitted`). */
export const LIGHT_TASK_COLUMNS = lightColumns(MAX_CARRIED_LENGTH);

/** The same for those who keep hundreds of tasks for one reader alone, for as long as that one does not read. */
export const SLIGHT_TASK_COLUMNS = lightColumns(2 * 1_024);

function lightColumns(maxLength: number): string {
  // Not by the room it takes where it is stored: it is compressed there.
  const isLarge = (column: LargeField) => `octet_length(t.${column}::text) > ${maxLength}`;
  return taskColumns(`
    case when ${isLarge('payload')} then null else t.payload end as payload,
    case when ${isLarge('result')} then null else t.result end as result,
    array_remove(array[case when ${isLarge('payload')} then 'payload' end, case when ${isLarge('result')} then 'result' end], null)
      as omitted`);
}

function taskColumns(large: string): string {
  return `
    t.id, t.title, t.description, t.priority, t.status, t.type, ${large}, t.error, t.attempt,
    t.max_attempts as "maxAttempts", t.attempt_budget as "attemptBudget", t.timeout_seconds as "timeoutSeconds",
    t.retry, t.progress, t.progress_message as "progressMessage", t.version, t.worker_id as "workerId",
    t.created_at as "createdAt", t.run_at as "runAt", t.expires_at as "expiresAt", t.queued_at as "queuedAt",
    t.started_at as "startedAt", t.finished_at as "finishedAt"`;
}

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

/** Field by field: every change of every task comes this way, and to copy what is left of an object is slow. */
export function toChange(row: ChangeRow): TaskChange {
  const task: Task = {
    id: row.id,
    title: row.title,
    description: row.description,
    priority: row.priority,
    status: row.status,
    type: row.type,
    payload: row.payload,
    result: row.result,
    error: row.error,
    attempt: row.attempt,
    maxAttempts: row.maxAttempts,
    attemptBudget: row.attemptBudget,
    timeoutSeconds: row.timeoutSeconds,
    retry: row.retry,
    progress: row.progress,
    progressMessage: row.progressMessage,
    version: row.version,
    workerId: row.workerId,
    createdAt: row.createdAt,
    runAt: row.runAt,
    expiresAt: row.expiresAt,
    queuedAt: row.queuedAt,
    startedAt: row.startedAt,
    finishedAt: row.finishedAt,
  };
  if (row.omitted !== undefined && row.omitted.length > 0) task.omitted = row.omitted;
  const event: TaskEvent = {
    taskId: row.id,
    version: row.eventVersion,
    seq: BigInt(row.eventSeq),
    status: row.eventStatus,
    previousStatus: row.previousStatus,
    attempt: row.eventAttempt,
    at: row.at,
    reason: row.reason,
    outcome: row.outcome,
    workerId: row.eventWorkerId,
    error: row.eventError,
  };
  return { task, event };
}

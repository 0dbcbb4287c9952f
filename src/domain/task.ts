/** The three queues, most urgent first. */
export const TASK_PRIORITIES = ['HIGH', 'MEDIUM', 'LOW'] as const;
export type TaskPriority = (typeof TASK_PRIORITIES)[number];

export const TASK_STATUSES = [
  'NEW',
  'PENDING',
  'IN_PROGRESS',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** Statuses that only `retryTask` leaves. */
export const FINAL_STATUSES = ['COMPLETED', 'FAILED', 'CANCELLED'] as const satisfies TaskStatus[];

/** Statuses that a client's wish to cancel leaves, and its wish to retry. */
export const CANCELLABLE_STATUSES = [
  'NEW',
  'PENDING',
  'IN_PROGRESS',
] as const satisfies TaskStatus[];
export const RETRYABLE_STATUSES = ['FAILED', 'CANCELLED'] as const satisfies TaskStatus[];

export const ATTEMPT_OUTCOMES = [
  'COMPLETED',
  'FAILED',
  'TIMED_OUT',
  'CANCELLED',
  'WORKER_DIED',
  'RELEASED',
] as const;
/** How one run of a task ended. */
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A failure of one run, as it is stored and shown. */
export type TaskError = {
  name: string;
  message: string;
  stack: string | null;
  /** The attempt that failed. */
  attempt: number;
};

/** How one task's retries are spaced, by the names of `RetryPolicy`. What is null is up to its type. */
export type TaskRetry = {
  baseMs: number | null;
  factor: number | null;
  capMs: number | null;
  jitter: number | null;
};

/** A unit of work as it is stored. Field by field documented in `prisma/schema.prisma`. */
export interface Task {
  id: string;
  title: string;
  description: string;
  priority: TaskPriority;
  status: TaskStatus;
  type: string;
  payload: Json | null;
  result: Json | null;
  error: TaskError | null;
  attempt: number;
  maxAttempts: number;
  attemptBudget: number;
  timeoutSeconds: number | null;
  retry: TaskRetry | null;
  progress: number | null;
  progressMessage: string | null;
  version: number;
  workerId: string | null;
  createdAt: Date;
  runAt: Date;
  expiresAt: Date | null;
  queuedAt: Date | null;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** Which fields were too large to travel with a change: null here, whatever they are. */
  omitted?: readonly LargeField[] | undefined;
}

/** Characters of JSON up to which they travel with a change; a larger one is read when somebody asks for it. */
export const MAX_CARRIED_LENGTH = 64 * 1024;

/** The fields that may be large. */
export const LARGE_FIELDS = ['payload', 'result'] as const;
export type LargeField = (typeof LARGE_FIELDS)[number];

/** A change of status that happened. */
export interface TaskEvent {
  taskId: string;
  /** The task's version after the change. */
  version: number;
  /** Order in which changes were written, over all tasks. */
  seq: bigint;
  status: TaskStatus;
  previousStatus: TaskStatus | null;
  attempt: number;
  at: Date;
  reason: string | null;
  outcome: AttemptOutcome | null;
  workerId: string | null;
  error: TaskError | null;
}

/** An event together with the task as the change left it. */
export interface TaskChange {
  event: TaskEvent;
  task: Task;
}

/** How far a run is, as its handler reports it. Not a change of status: no version, no event. */
export interface TaskProgress {
  taskId: string;
  /** The version that the run's claim made. */
  version: number;
  attempt: number;
  /** 0 to 1 */
  progress: number;
  message: string | null;
  /** When it was stored, by the database's clock. */
  at: Date;
}

export function isFinal(status: TaskStatus): boolean {
  return (FINAL_STATUSES as readonly TaskStatus[]).includes(status);
}

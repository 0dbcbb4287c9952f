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
}

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

export function isFinal(status: TaskStatus): boolean {
  return (FINAL_STATUSES as readonly TaskStatus[]).includes(status);
}

import {
  type AttemptOutcome,
  CANCELLABLE_STATUSES,
  type Json,
  RETRYABLE_STATUSES,
  type Task,
  type TaskError,
  type TaskStatus,
} from './task.ts';

/**
 * The state machine. A transition is a planned change of one task: it applies only if the guard still holds when it
 * reaches the row (compare-and-set), and then raises the version by one and leaves one event.
 *
 * There is no other way to change a status. What follows from the new status alone (`finished_at`, `started_at`,
 * `queued_at`, letting go of the worker) is derived where they become SQL: `store/transition-sql.ts`.
 * Times are the database's, so that no two clocks are ever compared.
 */
export interface Transition {
  readonly taskId: string;
  readonly guard: {
    /** The statuses it may leave. */
    readonly status: readonly TaskStatus[];
    /** The fencing token: only the run that still holds this version may change the task. */
    readonly version?: number;
    /** Not before the task's `runAt`. */
    readonly due?: true;
    /** Only while the task may still start by its `expiresAt`, or only once it has missed that. */
    readonly deadline?: 'MET' | 'MISSED';
  };
  readonly patch: {
    readonly status: TaskStatus;
    /** +1 when a run starts, −1 when it is given back unused. */
    readonly attemptDelta?: 1 | -1;
    /**
     * Starts afresh: adds as many attempts as the task was created with, and forgets its deadline and the workers that
     * died under it.
     */
    readonly renew?: true;
    /** Counts a worker that died under the task. */
    readonly workerDeaths?: 1;
    /** No handler has seen it: a task that had not started before has not started now, and keeps its deadline. */
    readonly unseen?: true;
    /** The task is due again this long from now. */
    readonly runAfterMs?: number;
    readonly workerId?: string;
    readonly result?: Json;
    readonly error?: TaskError;
  };
  /** Why, in words; kept with the event. */
  readonly reason?: string;
  /** How the run that this ends went. */
  readonly outcome?: AttemptOutcome;
  /** The task as whoever holds its claim knows it, so that what cannot have changed since need not be read again. */
  readonly known?: Task;
}

/** The right to settle one run: whoever holds the version that the claim returned. */
export interface Claim {
  readonly taskId: string;
  readonly version: number;
  /** The task as the claim left it, if whoever holds it has it at hand. */
  readonly task?: Task;
}

/** NEW → PENDING. RabbitMQ has confirmed the task's message. */
export function enqueue(taskId: string): Transition {
  return { taskId, guard: { status: ['NEW'] }, patch: { status: 'PENDING' } };
}

/** NEW | PENDING → IN_PROGRESS. One worker gets it, unless the deadline has passed; for all others the guard fails. */
export function claim(taskId: string, workerId: string): Transition {
  return {
    taskId,
    guard: { status: ['NEW', 'PENDING'], due: true, deadline: 'MET' },
    patch: { status: 'IN_PROGRESS', attemptDelta: 1, workerId },
  };
}

/** IN_PROGRESS → COMPLETED. */
export function complete(claim: Claim, result: Json): Transition {
  return {
    ...held(claim),
    patch: { status: 'COMPLETED', result },
    outcome: 'COMPLETED',
  };
}

/** IN_PROGRESS → NEW. The run failed, used up its attempt, and another follows after the delay. */
export function retryLater(claim: Claim, failure: Failure, delayMs: number): Transition {
  return {
    ...held(claim),
    patch: { status: 'NEW', error: failure.error, runAfterMs: delayMs },
    reason: `Attempt ${failure.error.attempt} failed: ${failure.error.message}`,
    outcome: failure.outcome,
  };
}

/** IN_PROGRESS → FAILED. The last attempt failed, or the handler said not to retry. */
export function fail(claim: Claim, failure: Failure): Transition {
  return {
    ...held(claim),
    patch: { status: 'FAILED', error: failure.error },
    reason: failure.error.message,
    outcome: failure.outcome,
  };
}

/** IN_PROGRESS → NEW. The worker died: the attempt is used up, and another may follow at once. */
export function rescue(claim: Claim, error: TaskError): Transition {
  return {
    ...held(claim),
    patch: { status: 'NEW', error, runAfterMs: 0, workerDeaths: 1 },
    reason: `Attempt ${error.attempt} failed: ${error.message}`,
    outcome: 'WORKER_DIED',
  };
}

/** IN_PROGRESS → FAILED. The worker died, and no other is to be risked for the task. */
export function condemn(claim: Claim, error: TaskError): Transition {
  return {
    ...held(claim),
    patch: { status: 'FAILED', error, workerDeaths: 1 },
    reason: error.message,
    outcome: 'WORKER_DIED',
  };
}

/** IN_PROGRESS → NEW. The worker gives the task back, mostly because it shuts down; its attempt is not used up. */
export function release(claim: Claim): Transition {
  return {
    ...held(claim),
    patch: { status: 'NEW', attemptDelta: -1, runAfterMs: 0 },
    reason: 'The worker gave the task back.',
    outcome: 'RELEASED',
  };
}

/** IN_PROGRESS → NEW. No handler of the worker has seen the task: its attempt is not used up, and it has not started. */
export function decline(claim: Claim, delayMs: number, reason: string): Transition {
  return {
    ...held(claim),
    patch: { status: 'NEW', attemptDelta: -1, runAfterMs: delayMs, unseen: true },
    reason,
    outcome: 'RELEASED',
  };
}

/** NEW | PENDING | IN_PROGRESS → CANCELLED. A client's wish; final at once, also for the code that runs. */
export function cancel(taskId: string, reason?: string): Transition {
  return {
    taskId,
    guard: { status: CANCELLABLE_STATUSES },
    patch: { status: 'CANCELLED' },
    reason: reason ?? 'Cancelled by a client.',
    outcome: 'CANCELLED',
  };
}

/** NEW | PENDING → CANCELLED. No run has started by the deadline, so none will. */
export function expire(taskId: string): Transition {
  return {
    taskId,
    guard: { status: ['NEW', 'PENDING'], deadline: 'MISSED' },
    patch: { status: 'CANCELLED' },
    reason: 'Not started by its deadline.',
  };
}

/** FAILED | CANCELLED → NEW. Runs again, with fresh attempts on top of those used, and no deadline any more. */
export function retry(taskId: string): Transition {
  return {
    taskId,
    guard: { status: RETRYABLE_STATUSES },
    patch: { status: 'NEW', renew: true, runAfterMs: 0 },
    reason: 'Retried by a client.',
  };
}

/** How a run went wrong. */
export interface Failure {
  readonly error: TaskError;
  readonly outcome: 'FAILED' | 'TIMED_OUT';
}

function held({ taskId, version, task }: Claim): Pick<Transition, 'taskId' | 'guard' | 'known'> {
  const guard = { status: ['IN_PROGRESS'], version } as const;
  return task === undefined ? { taskId, guard } : { taskId, guard, known: task };
}

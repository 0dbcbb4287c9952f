import type { TaskRetry } from './task.ts';
import {
  type Claim,
  condemn,
  decline,
  type Failure,
  fail,
  rescue,
  retryLater,
  type Transition,
} from './transitions.ts';
import { noHandlerFor } from './unseen-reasons.ts';

/** When a failed attempt is followed by another. Attempts are counted by the task itself (`maxAttempts`). */
export interface RetryPolicy {
  /** Delay after the first failure. */
  readonly baseMs: number;
  /** Each further failure multiplies the delay by this. */
  readonly factor: number;
  /** No delay is longer. */
  readonly capMs: number;
  /** Share of the delay that chance decides, 0 to 1, so that tasks which failed together do not return together. */
  readonly jitter: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  baseMs: 1_000,
  factor: 2,
  capMs: 10 * 60_000,
  jitter: 0.2,
};

/** A task under which this many workers died is FAILED, whatever attempts are left, lest it kill the next one. */
export const MAX_WORKER_DEATHS = 3;

/** The policy of a task whose type has `policy`. */
export function withTaskRetry(policy: RetryPolicy, retry: TaskRetry | null): RetryPolicy {
  return {
    baseMs: retry?.baseMs ?? policy.baseMs,
    factor: retry?.factor ?? policy.factor,
    capMs: retry?.capMs ?? policy.capMs,
    jitter: retry?.jitter ?? policy.jitter,
  };
}

/**
 * Milliseconds to wait after failed attempt number `attempt` (from 1): exponential up to the cap, then up to
 * `jitter` of it taken off. A year at most, whatever a handler's policy says; by the default where that gives no number.
 * @param random a number in [0, 1)
 */
export function backoffMs(policy: RetryPolicy, attempt: number, random: number): number {
  // Not Infinity, or a base of 0 would make it NaN.
  const growth = Math.min(policy.factor ** (attempt - 1), Number.MAX_VALUE);
  const full = Math.min(policy.capMs, policy.baseMs * growth, YEAR_MS);
  const delayMs = Math.round(full * (1 - policy.jitter * random));
  if (Number.isNaN(delayMs)) return backoffMs(DEFAULT_RETRY_POLICY, attempt, random);
  return Math.max(0, delayMs);
}

/** Further than that no time that a task can wait for lies ahead. */
const YEAR_MS = 366 * 86_400_000;

/** What follows a failed run: another attempt later, or FAILED. */
export function afterFailure(
  run: Claim & { readonly attempt: number; readonly maxAttempts: number },
  failure: Failure,
  options: { policy: RetryPolicy; random: number; retryable: boolean },
): Transition {
  if (!options.retryable || run.attempt >= run.maxAttempts) return fail(run, failure);
  return retryLater(run, failure, backoffMs(options.policy, run.attempt, options.random));
}

/**
 * What follows a claim by a worker that has no handler for the type. In a deploy that adds a type there are others that
 * know it, or will be soon: the task waits for them, for longer each time, with its attempt. After a day it is FAILED.
 * @param options.before how often that has been before, since a client last retried the task
 */
export function afterUnknownType(
  run: Claim & { readonly attempt: number },
  { type, before, random }: { type: string; before: number; random: number },
): Transition {
  const reason = noHandlerFor(type);
  if (before < MAX_UNKNOWN_TIMES) {
    return decline(run, backoffMs(UNKNOWN_POLICY, before + 1, random), reason);
  }
  const error = { name: 'UnknownType', message: reason, stack: null, attempt: run.attempt };
  return fail(run, { error, outcome: 'FAILED' });
}

const UNKNOWN_POLICY = { baseMs: 5_000, factor: 2, capMs: 3_600_000, jitter: 0.2 };
/** Ten times in the first hour and a half, then once an hour. */
const MAX_UNKNOWN_TIMES = 10 + 24;

/** What follows a run whose worker died: another one at once, since the task need not be to blame, or FAILED. */
export function afterWorkerDeath(run: OrphanedRun): Transition {
  const deaths = run.workerDeaths + 1;
  const death = `Worker ${run.workerId} stopped responding.`;
  const isPoison = deaths >= MAX_WORKER_DEATHS;
  const error = {
    name: 'WorkerDied',
    message: isPoison ? `${deaths} workers died while they ran this task. ${death}` : death,
    stack: null,
    attempt: run.attempt,
  };
  return isPoison || run.attempt >= run.maxAttempts ? condemn(run, error) : rescue(run, error);
}

/** A run whose worker died. */
export interface OrphanedRun extends Claim {
  readonly attempt: number;
  readonly maxAttempts: number;
  /** How many workers had died under the task before. */
  readonly workerDeaths: number;
  readonly workerId: string;
}

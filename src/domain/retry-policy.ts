import { type Claim, type Failure, fail, retryLater, type Transition } from './transitions.ts';

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

/**
 * Milliseconds to wait after failed attempt number `attempt` (from 1): exponential up to the cap, then up to
 * `jitter` of it taken off.
 * @param random a number in [0, 1)
 */
export function backoffMs(policy: RetryPolicy, attempt: number, random: number): number {
  const full = Math.min(policy.capMs, policy.baseMs * policy.factor ** (attempt - 1));
  return Math.round(full * (1 - policy.jitter * random));
}

/** What follows a failed run: another attempt later, or FAILED. */
export function afterFailure(
  run: Claim & { readonly attempt: number; readonly maxAttempts: number },
  failure: Failure,
  options: { policy: RetryPolicy; random: number; retryable: boolean },
): Transition {
  if (!options.retryable || run.attempt >= run.maxAttempts) return fail(run, failure);
  return retryLater(run, failure, backoffMs(options.policy, run.attempt, options.random));
}

import { describe, expect, test } from 'vitest';
import {
  afterFailure,
  afterUnknownType,
  afterWorkerDeath,
  backoffMs,
  DEFAULT_RETRY_POLICY,
  withTaskRetry,
} from '../../src/domain/retry-policy.ts';

const policy = { baseMs: 1_000, factor: 2, capMs: 10_000, jitter: 0.5 };
const failure = {
  error: { name: 'Error', message: 'boom', stack: null, attempt: 1 },
  outcome: 'FAILED',
} as const;

function run(attempt: number, maxAttempts: number) {
  return { taskId: 'a', version: 3, attempt, maxAttempts };
}

describe('the delay before the next attempt', () => {
  test('doubles with each failure, up to the cap', () => {
    const delays = [1, 2, 3, 4, 5, 60].map((attempt) => backoffMs(policy, attempt, 0));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  test('stays finite for absurdly many attempts', () => {
    expect(backoffMs(policy, 5_000, 0)).toBe(10_000);
    expect(backoffMs({ ...policy, baseMs: 0 }, 5_000, 0)).toBe(0);
  });

  test('is shortened by chance, by no more than the jitter', () => {
    expect(backoffMs(policy, 1, 0.5)).toBe(750);
    expect(backoffMs(policy, 1, 0.999)).toBeGreaterThanOrEqual(500);
  });

  test('is a year at most, whatever a policy says', () => {
    const year = 366 * 86_400_000;
    const endless = { baseMs: 1_000, factor: 2, capMs: Number.POSITIVE_INFINITY, jitter: 0 };
    expect(backoffMs(endless, 3, 0)).toBe(4_000);
    expect(backoffMs(endless, 5_000, 0)).toBe(year);
    expect(backoffMs({ ...endless, baseMs: Number.NaN }, 2, 0)).toBe(2_000);
    expect(backoffMs({ ...endless, baseMs: -5 }, 1, 0)).toBe(0);
  });
});

describe('a task of a type that the worker does not know', () => {
  const whatFollows = (before: number) =>
    afterUnknownType({ taskId: 'a', version: 3, attempt: 1 }, { type: 'new', before, random: 0 });

  test('waits for one that does, for longer each time, and keeps its attempt', () => {
    const patches = [0, 1, 2, 19].map((before) => whatFollows(before).patch);
    expect(patches).toEqual(
      [5_000, 10_000, 20_000, 3_600_000].map((runAfterMs) => {
        return { status: 'NEW', attemptDelta: -1, runAfterMs, unseen: true };
      }),
    );
  });

  test('is FAILED at last, and says why', () => {
    expect(whatFollows(33).patch.status).toBe('NEW');
    expect(whatFollows(34).patch).toMatchObject({
      status: 'FAILED',
      error: { name: 'UnknownType', message: 'This worker has no handler for new.' },
    });
  });
});

test('what a task says about its retries goes before what its type says', () => {
  expect(withTaskRetry(policy, null)).toEqual(policy);
  const retry = { baseMs: 0, factor: null, capMs: 5, jitter: null };
  expect(withTaskRetry(policy, retry)).toEqual({ baseMs: 0, factor: 2, capMs: 5, jitter: 0.5 });
});

describe('after a failed attempt', () => {
  test('another follows while attempts are left', () => {
    const next = afterFailure(run(2, 3), failure, { policy, random: 0, retryable: true });
    expect(next.patch).toMatchObject({ status: 'NEW', runAfterMs: 2_000 });
  });

  test('the task is FAILED when the attempts are used up', () => {
    const next = afterFailure(run(3, 3), failure, { policy, random: 0, retryable: true });
    expect(next.patch.status).toBe('FAILED');
  });

  test('the task is FAILED at once when the handler said not to retry', () => {
    const next = afterFailure(run(1, 3), failure, {
      policy: DEFAULT_RETRY_POLICY,
      random: 0,
      retryable: false,
    });
    expect(next.patch.status).toBe('FAILED');
  });
});

describe('after the death of a worker', () => {
  const orphan = (attempt: number, maxAttempts: number, workerDeaths: number) =>
    afterWorkerDeath({ ...run(attempt, maxAttempts), workerDeaths, workerId: 'w' });

  test('another worker gets the task at once', () => {
    const next = orphan(1, 3, 0);
    expect(next.patch).toMatchObject({ status: 'NEW', runAfterMs: 0, workerDeaths: 1 });
    expect(next.patch.error?.message).toBe('Worker w stopped responding.');
  });

  test('the task is FAILED when the attempts are used up', () => {
    const next = orphan(3, 3, 0);
    expect(next.patch).toMatchObject({ status: 'FAILED', workerDeaths: 1 });
    expect(next.reason).toBe('Worker w stopped responding.');
  });

  test('the task is FAILED when it was the third, whatever attempts are left', () => {
    const next = orphan(3, 100, 2);
    expect(next.patch.error).toMatchObject({ name: 'WorkerDied', attempt: 3 });
    expect(next.patch.status).toBe('FAILED');
    expect(next.reason).toBe(
      '3 workers died while they ran this task. Worker w stopped responding.',
    );
  });
});

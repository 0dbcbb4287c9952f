import { describe, expect, test } from 'vitest';
import { TASK_STATUSES, type TaskStatus } from '../../src/domain/task.ts';
import * as transitions from '../../src/domain/transitions.ts';
import { TRANSITIONS } from '../support/transition-table.ts';

/** Every move that the contract allows; nothing else, ever. */
const ALLOWED: Record<TaskStatus, readonly TaskStatus[]> = {
  NEW: ['PENDING', 'IN_PROGRESS', 'CANCELLED'],
  PENDING: ['IN_PROGRESS', 'CANCELLED'],
  IN_PROGRESS: ['COMPLETED', 'FAILED', 'NEW', 'CANCELLED'],
  COMPLETED: [],
  FAILED: ['NEW'],
  CANCELLED: ['NEW'],
};

describe('the state machine', () => {
  test('has no transition that the table leaves out', () => {
    expect(Object.keys(TRANSITIONS).sort()).toEqual(Object.keys(transitions).sort());
  });

  describe.each(Object.entries(TRANSITIONS))('%s', (_name, { transition, from, to }) => {
    test.each(TASK_STATUSES)(`from %s leads to ${to} or nowhere`, (status) => {
      expect(transition.guard.status.includes(status)).toBe(from.includes(status));
      expect(transition.patch.status).toBe(to);
    });
  });

  test('makes exactly the moves that the contract allows', () => {
    const moves = Object.fromEntries(
      TASK_STATUSES.map((status) => {
        const reached = Object.values(TRANSITIONS)
          .filter(({ from }) => from.includes(status))
          .map(({ to }) => to);
        return [status, new Set(reached)];
      }),
    );
    expect(moves).toEqual(
      Object.fromEntries(TASK_STATUSES.map((status) => [status, new Set(ALLOWED[status])])),
    );
  });

  test('lets only the run that holds the claim settle it', () => {
    const settling = ['complete', 'retryLater', 'fail', 'rescue', 'condemn', 'release', 'decline'];
    const fenced = Object.entries(TRANSITIONS).filter(([, { transition }]) => {
      return transition.guard.version === 3;
    });
    expect(fenced.map(([name]) => name)).toEqual(settling);
  });

  test('uses up an attempt by starting a run, and gives it back when a worker drains or has no handler', () => {
    const deltas = Object.entries(TRANSITIONS).flatMap(([name, { transition }]) =>
      transition.patch.attemptDelta === undefined ? [] : [[name, transition.patch.attemptDelta]],
    );
    expect(deltas).toEqual([
      ['claim', 1],
      ['release', -1],
      ['decline', -1],
    ]);
  });
});

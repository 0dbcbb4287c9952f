import type { TaskStatus } from '../../src/domain/task.ts';
import * as t from '../../src/domain/transitions.ts';

const TASK = '01890000-0000-7000-8000-000000000001';
const WORKER = '01890000-0000-7000-8000-00000000000f';
const claim = { taskId: TASK, version: 3 };
const error = { name: 'Error', message: 'boom', stack: null, attempt: 1 };

interface Row {
  transition: t.Transition;
  from: readonly TaskStatus[];
  to: TaskStatus;
}

/** Each transition of the state machine, the statuses it may leave, and the one it leads to. */
export const TRANSITIONS: Record<keyof typeof t, Row> = {
  enqueue: { transition: t.enqueue(TASK), from: ['NEW'], to: 'PENDING' },
  claim: { transition: t.claim(TASK, WORKER), from: ['NEW', 'PENDING'], to: 'IN_PROGRESS' },
  complete: { transition: t.complete(claim, 'done'), from: ['IN_PROGRESS'], to: 'COMPLETED' },
  retryLater: {
    transition: t.retryLater(claim, { error, outcome: 'FAILED' }, 1_000),
    from: ['IN_PROGRESS'],
    to: 'NEW',
  },
  fail: {
    transition: t.fail(claim, { error, outcome: 'FAILED' }),
    from: ['IN_PROGRESS'],
    to: 'FAILED',
  },
  rescue: { transition: t.rescue(claim, error), from: ['IN_PROGRESS'], to: 'NEW' },
  condemn: { transition: t.condemn(claim, error), from: ['IN_PROGRESS'], to: 'FAILED' },
  release: { transition: t.release(claim), from: ['IN_PROGRESS'], to: 'NEW' },
  decline: { transition: t.decline(claim, 1_000, 'why'), from: ['IN_PROGRESS'], to: 'NEW' },
  cancel: {
    transition: t.cancel(TASK),
    from: ['NEW', 'PENDING', 'IN_PROGRESS'],
    to: 'CANCELLED',
  },
  expire: { transition: t.expire(TASK), from: ['NEW', 'PENDING'], to: 'CANCELLED' },
  retry: { transition: t.retry(TASK), from: ['FAILED', 'CANCELLED'], to: 'NEW' },
};

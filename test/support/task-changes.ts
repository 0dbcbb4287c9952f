import { v7 as uuidv7 } from 'uuid';
import type { Task, TaskChange, TaskEvent } from '../../src/domain/task.ts';

/** A change as the store gives it, with what the test cares about put in. */
export function makeTaskChange({
  task,
  event,
}: {
  task?: Partial<Task>;
  event?: Partial<TaskEvent>;
} = {}): TaskChange {
  const id = task?.id ?? uuidv7();
  const at = new Date('2025-01-02T03:04:05.678Z');
  return {
    task: {
      id,
      title: 'Send the letter',
      description: '',
      priority: 'MEDIUM',
      status: event?.status ?? 'COMPLETED',
      type: 'simulate',
      payload: { to: 'Zoë', copies: [1, 2.5, null] },
      result: null,
      error: { name: 'Error', message: 'boom', stack: null, attempt: 1 },
      attempt: 2,
      maxAttempts: 3,
      attemptBudget: 3,
      timeoutSeconds: null,
      retry: { baseMs: 500, factor: null, capMs: null, jitter: null },
      progress: 0.5,
      progressMessage: null,
      version: 5,
      workerId: null,
      createdAt: at,
      runAt: at,
      expiresAt: at,
      queuedAt: null,
      startedAt: at,
      finishedAt: null,
      ...task,
    },
    event: {
      taskId: id,
      version: 5,
      seq: 9_007_199_254_740_993n,
      status: 'COMPLETED',
      previousStatus: 'IN_PROGRESS',
      attempt: 2,
      at,
      reason: null,
      outcome: 'COMPLETED',
      workerId: 'worker-1',
      error: null,
      ...event,
    },
  };
}

/** A change that ends a run from outside. */
export function makeCancellation(): TaskChange {
  return makeTaskChange({ event: { previousStatus: 'IN_PROGRESS', status: 'CANCELLED' } });
}

import { AppError } from '../domain/errors.ts';
import type { TaskChange } from '../domain/task.ts';
import type { Transition } from '../domain/transitions.ts';
import type { Advance } from './advance.ts';
import { createMicroBatch } from './micro-batch.ts';

/** Applies one transition. Resolves to undefined where its guard no longer held. */
export type AdvanceOne = (transition: Transition) => Promise<TaskChange | undefined>;

/** Batches on their way at a time: one is computed while the next is committed. */
const MAX_IN_FLIGHT = 2;
const MAX_ROWS = 500;

/**
 * Applies single transitions that come at the same time in one statement. None of them waits for the row of another:
 * what a batch leaves undone, since someone holds the row or since its guard fails, is tried once more by itself, beside
 * the batches that follow.
 */
export function createAdvanceOne(advance: Advance): AdvanceOne {
  const inBatch = createMicroBatch<Transition, TaskChange | undefined>({
    run: (transitions) => advance(transitions, { skipLocked: true }),
    weigh: () => 1,
    maxWeight: MAX_ROWS,
    maxInFlight: MAX_IN_FLIGHT,
    keyOf: ({ taskId }) => taskId,
    isShared: (error) => error instanceof AppError && error.code === 'SERVICE_UNAVAILABLE',
  });
  return async (transition) => {
    const change = await inBatch(transition);
    if (change !== undefined) return change;
    const [second] = await advance([transition]);
    return second;
  };
}

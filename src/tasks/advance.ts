import type { Broker } from '../broker/broker.ts';
import type { TaskChange } from '../domain/task.ts';
import type { Transition } from '../domain/transitions.ts';
import { applyTransitions } from '../store/apply-transitions.ts';
import type { Sql } from '../store/sql.ts';

/**
 * Applies transitions and, once they are committed, announces what happened.
 *
 * @param transitions at most one per task
 * @returns the changes in the order of the input; undefined where the guard no longer held
 */
export type Advance = (
  transitions: readonly Transition[],
  options?: {
    /** Leaves out, as if their guards did not hold, tasks that others are changing right now. */
    skipLocked?: boolean;
  },
) => Promise<(TaskChange | undefined)[]>;

/** @param options.sql must commit by itself: what a transaction does is announced by whoever commits it */
export function createAdvance(options: { sql: Sql; broker: Broker }): Advance {
  const { sql, broker } = options;
  return async (transitions, lock) => {
    const changes = await applyTransitions(sql, transitions, lock);
    broker.publishEvents(happened(changes));
    return changes;
  };
}

/** The changes that did happen. */
export function happened(changes: readonly (TaskChange | undefined)[]): TaskChange[] {
  return changes.filter((change) => change !== undefined);
}

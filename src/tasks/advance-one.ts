import { isUnavailable } from '../domain/errors.ts';
import type { TaskChange } from '../domain/task.ts';
import type { Transition } from '../domain/transitions.ts';
import type { Sql } from '../store/sql.ts';
import { type Glance, glanceAt } from '../store/task-queries.ts';
import { type Advance, happened } from './advance.ts';
import { createMicroBatch } from './micro-batch.ts';

/** Applies one transition. */
export type AdvanceOne = (transition: Transition) => Promise<Outcome>;

/** What became of a transition: the change, or what the row was seen to be when its guard no longer held. */
export type Outcome = { change: TaskChange } | { change: undefined; seen: Glance };

/** Others of its batch were changed before the database failed. */
interface Failed {
  error: unknown;
}

/** Batches on their way at a time: one is computed while the next is committed. */
const MAX_IN_FLIGHT = 2;
/** A statement costs as much as twenty of its rows: so many share it. */
const MIN_ROWS_BESIDE = 150;
const MAX_ROWS = 500;
/** How often a batch tries what it left undone: the row of a fresh task is most often there the second time. */
const TRIES = 2;
/** How many batches a transition gets before it waits for whoever holds its row. */
const BATCHES = 2;

/**
 * Applies single transitions that come at the same time in one statement. None of them waits for the row of another:
 * what a batch leaves undone it tries once more and then looks at, in one statement for all. If its guard seems to hold, it
 * is tried in another batch, and then by itself beside the batches that follow, since someone else has its row.
 */
export function createAdvanceOne(options: { sql: Sql; advance: Advance }): AdvanceOne {
  const { sql, advance } = options;
  const inBatch = createMicroBatch<Transition, Outcome | Failed>({
    run: tryAll,
    weigh: () => 1,
    maxWeight: MAX_ROWS,
    maxInFlight: MAX_IN_FLIGHT,
    minWeightBeside: MIN_ROWS_BESIDE,
    keyOf: ({ taskId }) => taskId,
    isShared: isUnavailable,
  });

  async function tryAll(transitions: readonly Transition[]): Promise<(Outcome | Failed)[]> {
    const changes = new Map<string, TaskChange>();
    const undone = () => transitions.filter(({ taskId }) => !changes.has(taskId));
    const outcomes = (ofUndone: (taskId: string) => Outcome | Failed) =>
      transitions.map(({ taskId }): Outcome | Failed => {
        const change = changes.get(taskId);
        return change === undefined ? ofUndone(taskId) : { change };
      });
    try {
      for (let tries = 1; tries <= TRIES && undone().length > 0; tries += 1) {
        for (const change of happened(await advance(undone(), { skipLocked: true }))) {
          changes.set(change.task.id, change);
        }
      }
      const seen = await glanceAt(sql, undone().map(toId));
      return outcomes((taskId) => ({ change: undefined, seen: seen(taskId) }));
    } catch (error) {
      if (changes.size === 0) throw error;
      // Those that are committed have happened, whatever becomes of the others.
      const rest = isUnavailable(error) ? undefined : await eachAlone(undone());
      return outcomes((taskId) => rest?.get(taskId) ?? { error });
    }
  }

  /** One of them fails, and not for what all have in common. */
  async function eachAlone(transitions: readonly Transition[]) {
    const outcomes = new Map<string, Outcome | Failed>();
    for (const transition of transitions) {
      const [outcome] = await tryAll([transition]).catch((error: unknown) => [{ error }]);
      if (outcome !== undefined) outcomes.set(transition.taskId, outcome);
    }
    return outcomes;
  }

  return async (transition) => {
    for (let batches = 1; ; batches += 1) {
      const outcome = await inBatch(transition);
      if ('error' in outcome) throw outcome.error;
      if (outcome.change !== undefined || !mayStillHold(transition.guard, outcome.seen)) {
        return outcome;
      }
      if (batches < BATCHES) continue;
      const [change] = await advance([transition]);
      return change === undefined ? outcome : { change };
    }
  };
}

function toId({ taskId }: Transition): string {
  return taskId;
}

/** What a glance does not tell of a guard is taken to hold. */
function mayStillHold({ status, version }: Transition['guard'], seen: Glance): boolean {
  if (seen.status === undefined || !status.includes(seen.status)) return false;
  return version === undefined || version === seen.version;
}

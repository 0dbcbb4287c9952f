import type { TaskChange } from '../domain/task.ts';
import { matchesFilter, type TaskFilter } from '../domain/task-filter.ts';
import type { ListMove, StreamedChange } from './cursor.ts';

/** Which changes of all tasks somebody wants to be told. */
export interface Selection {
  /** Equal for selections that select alike. */
  readonly key: string;
  readonly filter: TaskFilter;
  /** The change as it is to be told; undefined when it is not. */
  select<Change extends StreamedChange>(change: Change): Change | undefined;
}

/** The changes after which a task matches the filter. */
export function changesTo(filter: TaskFilter): Selection {
  return {
    key: `to ${JSON.stringify(filter)}`,
    filter,
    select: (change) => (matchesAfter(filter, change) ? change : undefined),
  };
}

/** The changes by which a task enters the list of those that match, changes within it, or leaves it. */
export function movesIn(filter: TaskFilter): Selection {
  return {
    key: `in ${JSON.stringify(filter)}`,
    filter,
    select(change) {
      const move = moveOf(matchesBefore(filter, change), matchesAfter(filter, change));
      return move && { ...change, move };
    },
  };
}

function moveOf(before: boolean, after: boolean): ListMove | undefined {
  if (before) return after ? 'CHANGED' : 'LEFT';
  return after ? 'ENTERED' : undefined;
}

// What was read later shows the task as it is now. Of all that a filter looks at, only the status ever changes.

function matchesAfter(filter: TaskFilter, { event, task }: TaskChange): boolean {
  return matchesFilter(filter, task, event.status);
}

function matchesBefore(filter: TaskFilter, { event, task }: TaskChange): boolean {
  const { previousStatus } = event;
  return previousStatus !== null && matchesFilter(filter, task, previousStatus);
}

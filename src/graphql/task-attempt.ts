import type { TaskEvent } from '../domain/task.ts';
import { builder } from './builder.ts';
import { AttemptOutcomeEnum } from './task-enums.ts';
import { TaskErrorRef } from './task-error.ts';

/** One run of a task: the event that started it and, once it is over, the one that ended it. */
export interface TaskAttempt {
  started: TaskEvent;
  ended: TaskEvent | undefined;
}

/** @param events a task's history in order of version */
export function attemptsOf(events: readonly TaskEvent[]): TaskAttempt[] {
  return events.flatMap((started, index) =>
    started.status === 'IN_PROGRESS' ? [{ started, ended: events[index + 1] }] : [],
  );
}

export const TaskAttemptRef = builder.objectRef<TaskAttempt>('TaskAttempt').implement({
  description: 'One run of a task.',
  fields: (t) => ({
    number: t.int({
      description:
        'Counts the attempts from 1. A run that a worker gave back unused is followed by one with the same number.',
      resolve: ({ started }) => started.attempt,
    }),
    workerId: t.string({
      nullable: true,
      description: 'The worker process that ran it.',
      resolve: ({ started }) => started.workerId,
    }),
    startedAt: t.field({
      type: 'DateTime',
      description: 'When a worker claimed the task.',
      resolve: ({ started }) => started.at,
    }),
    finishedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null while it runs.',
      resolve: ({ ended }) => ended?.at,
    }),
    outcome: t.field({
      type: AttemptOutcomeEnum,
      nullable: true,
      description: 'How it ended; null while it runs.',
      resolve: ({ ended }) => ended?.outcome,
    }),
    error: t.field({
      type: TaskErrorRef,
      nullable: true,
      description: 'Why it failed; null unless it did.',
      resolve: ({ ended }) => ended?.error,
    }),
  }),
});

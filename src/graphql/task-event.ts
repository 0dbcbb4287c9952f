import { cursorOf, type StreamedChange } from '../tasks/cursor.ts';
import { builder } from './builder.ts';
import { TaskStatusEnum } from './task-enums.ts';

/** Carries its task along: a live event costs no read, and one from a history has the task it was read with. */
export const TaskEventRef = builder.objectRef<StreamedChange>('TaskEvent');

builder.objectType(TaskEventRef, {
  description: 'A change of status that happened. Being created is the first one.',
  fields: (t) => ({
    cursor: t.string({
      description:
        'Hand the last one you saw back as `after`, and `taskStatusChanged` goes on from there.',
      resolve: cursorOf,
    }),
    taskId: t.id({ description: 'The task that changed.', resolve: ({ event }) => event.taskId }),
    version: t.int({
      description: 'The version of the task after the change: 1, 2, 3, … without a gap.',
      resolve: ({ event }) => event.version,
    }),
    status: t.field({
      type: TaskStatusEnum,
      description: 'The status after the change.',
      resolve: ({ event }) => event.status,
    }),
    previousStatus: t.field({
      type: TaskStatusEnum,
      nullable: true,
      description: 'The status before the change; null for the creation.',
      resolve: ({ event }) => event.previousStatus,
    }),
    attempt: t.int({
      description: 'The attempt of the task after the change; 0 before the first run.',
      resolve: ({ event }) => event.attempt,
    }),
    at: t.field({
      type: 'DateTime',
      description: 'When it changed, by the clock of the database.',
      resolve: ({ event }) => event.at,
    }),
    reason: t.string({
      nullable: true,
      description: 'Why, in words, when there is something to say.',
      resolve: ({ event }) => event.reason,
    }),
  }),
});

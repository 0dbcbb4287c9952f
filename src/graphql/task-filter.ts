import { builder } from './builder.ts';
import { TaskPriorityEnum, TaskStatusEnum } from './task-enums.ts';

export const TaskFilterInput = builder.inputType('TaskFilter', {
  description:
    'Which tasks are meant. Every part that is given must match; one that is left out or null matches all, an empty list none.',
  fields: (t) => ({
    ids: t.idList({ description: 'One of these UUIDs; at most 1,000.' }),
    status: t.field({ type: [TaskStatusEnum], description: 'In one of these statuses.' }),
    priority: t.field({ type: [TaskPriorityEnum], description: 'Of one of these priorities.' }),
    type: t.stringList({ description: 'Of one of these types; at most 100.' }),
    search: t.string({
      description: 'Part of the title or the description, whatever the case; up to 255 characters.',
    }),
    createdAfter: t.field({ type: 'DateTime', description: 'Created after this moment.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Created before this moment.' }),
  }),
});

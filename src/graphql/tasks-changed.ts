import { parseInput } from '../domain/parse.ts';
import { taskFilterSchema } from '../domain/task-filter.ts';
import { cursorOf, type LIST_MOVES, type StreamedChange } from '../tasks/cursor.ts';
import { builder } from './builder.ts';
import { TaskRef } from './task.ts';
import { TaskEventRef } from './task-event.ts';
import { TaskFilterInput } from './task-filter.ts';

const TaskListMove = builder.enumType('TaskListMove', {
  description: 'What a change does to the list of tasks that match a filter.',
  values: {
    ENTERED: {
      description: 'The task matches from now on: it was created, or its status changed.',
    },
    CHANGED: { description: 'It matched before and matches still.' },
    LEFT: { description: 'It does not match any more.' },
  } satisfies Record<(typeof LIST_MOVES)[number], object>,
});

const TaskListChange = builder.objectRef<StreamedChange>('TaskListChange');

builder.objectType(TaskListChange, {
  description: 'A change to the list of tasks that match a filter.',
  fields: (t) => ({
    cursor: t.string({
      description:
        'Hand the last one you saw back as `after`, and `tasksChanged` goes on from there.',
      resolve: cursorOf,
    }),
    move: t.field({
      type: TaskListMove,
      description: 'Whether the task entered the list, changed within it, or left it.',
      resolve({ move }) {
        if (move === undefined) throw new Error('A change of a list without its move.');
        return move;
      },
    }),
    task: t.field({
      type: TaskRef,
      description: 'The task: as the change left it, or in a backfill as it was when it was read.',
      resolve: ({ task }) => task,
    }),
    event: t.field({
      type: TaskEventRef,
      description: 'The change of status that did it.',
      resolve: (change) => change,
    }),
  }),
});

builder.subscriptionField('tasksChanged', (t) =>
  t.field({
    type: TaskListChange,
    description:
      'A live list: tells when a task enters the list of those that match `filter`, changes within it, or leaves it.\n\n' +
      'Subscribe first, then read the list with `tasks`: what both tell is told by `version` as well. Resumes by ' +
      'cursor as `taskStatusChanged` does.',
    args: {
      filter: t.arg({
        type: TaskFilterInput,
        description: 'Which tasks are listed; all by default.',
      }),
      after: t.arg.string({ description: 'The `cursor` of the last change you saw.' }),
    },
    subscribe: (_root, { filter, after }, { feed }) =>
      feed.watchList(parseInput(taskFilterSchema, filter ?? {}, ['filter']), after),
    resolve: (change) => change,
  }),
);

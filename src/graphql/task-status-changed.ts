import { badInput } from '../domain/errors.ts';
import { parseInput, parseTaskId } from '../domain/parse.ts';
import { taskFilterSchema } from '../domain/task-filter.ts';
import { builder } from './builder.ts';
import { TaskEventRef } from './task-event.ts';
import { TaskFilterInput } from './task-filter.ts';

builder.subscriptionField('taskStatusChanged', (t) =>
  t.field({
    type: TaskEventRef,
    description:
      'Every change of status, in order per task and without a gap.\n\n' +
      'With `id`: begins with the present state of the task and completes after a final status. ' +
      'Without: all tasks that match `filter`, from now on, until you leave.\n\n' +
      'To resume after a lost connection, or after an error LAGGED because you read too slowly, hand back the ' +
      '`cursor` of the last event as `after`: you get all that you missed first, each change exactly once.',
    args: {
      id: t.arg.id({ description: 'Watch one task, by its UUID.' }),
      filter: t.arg({
        type: TaskFilterInput,
        description:
          'Without `id`: watch these tasks; all by default. `status` is compared with the status after the change.',
      }),
      after: t.arg.string({ description: 'The `cursor` of the last event you saw.' }),
    },
    subscribe: (_root, { id, filter, after }, { feed }) => {
      if (id == null) {
        return feed.watchTasks(parseInput(taskFilterSchema, filter ?? {}, ['filter']), after);
      }
      if (filter == null) return feed.watchTask(parseTaskId(id), after);
      throw badInput([{ path: ['filter'], message: 'must not be combined with id' }]);
    },
    resolve: (change) => change,
  }),
);

import { parseInput, parseTaskId } from '../domain/parse.ts';
import { narrowTaskFilterSchema } from '../domain/task-filter.ts';
import { builder } from './builder.ts';
import { BulkResultRef } from './bulk-result.ts';
import { TaskRef } from './task.ts';
import { TaskFilterInput } from './task-filter.ts';

builder.mutationField('retryTask', (t) =>
  t.field({
    type: TaskRef,
    description:
      'Gives a FAILED or CANCELLED task as many attempts again as it was created with, due at once and ' +
      'without a deadline. ' +
      'Fails with TASK_NOT_RETRYABLE in any other status, TASK_NOT_FOUND when there is none.',
    args: { id: t.arg.id({ required: true, description: 'The UUID of the task.' }) },
    resolve: (_root, args, { service }) => service.retry(parseTaskId(args.id)),
  }),
);

builder.mutationField('retryTasks', (t) =>
  t.field({
    type: BulkResultRef,
    description:
      'Retries all FAILED and CANCELLED tasks that match, as `retryTask` does, in batches, and tells how many. Tasks ' +
      'created after the call began are left alone. After a failure some are retried and some are not; repeating the ' +
      'call is safe.',
    args: {
      filter: t.arg({
        type: TaskFilterInput,
        required: true,
        description: 'Which tasks; at least one condition.',
      }),
    },
    resolve: async (_root, args, { service }) => {
      const filter = parseInput(narrowTaskFilterSchema, args.filter, ['filter']);
      return { count: await service.retryMany(filter) };
    },
  }),
);

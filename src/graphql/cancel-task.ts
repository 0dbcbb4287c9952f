import { text } from '../domain/new-task.ts';
import { parseInput, parseTaskId } from '../domain/parse.ts';
import { narrowTaskFilterSchema } from '../domain/task-filter.ts';
import { builder } from './builder.ts';
import { BulkResultRef } from './bulk-result.ts';
import { TaskRef } from './task.ts';
import { TaskFilterInput } from './task-filter.ts';

builder.mutationField('cancelTask', (t) =>
  t.field({
    type: TaskRef,
    description:
      'Cancels a task that is not final yet. A handler that runs it is told at once through its `AbortSignal`. ' +
      'Fails with TASK_NOT_CANCELLABLE when it is final, TASK_NOT_FOUND when there is none.',
    args: {
      id: t.arg.id({ required: true, description: 'The UUID of the task.' }),
      reason: t.arg.string({
        description: 'Why, in up to 1,000 characters; kept with the event.',
      }),
    },
    resolve: (_root, args, { service }) => {
      const reason = parseInput(reasonSchema, args.reason, ['reason']);
      return service.cancel(parseTaskId(args.id), reason);
    },
  }),
);

builder.mutationField('cancelTasks', (t) =>
  t.field({
    type: BulkResultRef,
    description:
      'Cancels all tasks that match and are not final yet, in batches, and tells how many. Tasks created after the ' +
      'call began are left alone. After a failure some are cancelled and some are not; repeating the call is safe.',
    args: {
      filter: t.arg({
        type: TaskFilterInput,
        required: true,
        description: 'Which tasks; at least one condition.',
      }),
      reason: t.arg.string({
        description: 'Why, in up to 1,000 characters; kept with each event.',
      }),
    },
    resolve: async (_root, args, { service }) => {
      const filter = parseInput(narrowTaskFilterSchema, args.filter, ['filter']);
      const reason = parseInput(reasonSchema, args.reason, ['reason']);
      return { count: await service.cancelMany(filter, reason) };
    },
  }),
);

const reasonSchema = text(1_000).nullish();

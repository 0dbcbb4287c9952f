import { text } from '../domain/new-task.ts';
import { parseInput, parseTaskId } from '../domain/parse.ts';
import { builder } from './builder.ts';
import { TaskRef } from './task.ts';

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

const reasonSchema = text(1_000).nullish();

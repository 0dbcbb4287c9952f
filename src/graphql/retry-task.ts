import { parseTaskId } from '../domain/parse.ts';
import { builder } from './builder.ts';
import { TaskRef } from './task.ts';

builder.mutationField('retryTask', (t) =>
  t.field({
    type: TaskRef,
    description:
      'Gives a FAILED or CANCELLED task as many attempts again as it was created with, and queues it at once. ' +
      'Fails with TASK_NOT_RETRYABLE in any other status, TASK_NOT_FOUND when there is none.',
    args: { id: t.arg.id({ required: true, description: 'The UUID of the task.' }) },
    resolve: (_root, args, { service }) => service.retry(parseTaskId(args.id)),
  }),
);

import type { TaskError } from '../domain/task.ts';
import { builder } from './builder.ts';

export const TaskErrorRef = builder.objectRef<TaskError>('TaskError').implement({
  description: 'The failure of one run.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'The kind of error, such as `TypeError` or `TimedOut`.',
    }),
    message: t.exposeString('message', { description: 'What went wrong, in words.' }),
    stack: t.exposeString('stack', {
      nullable: true,
      description: 'Where in the code of the handler it happened, when that is known.',
    }),
    attempt: t.exposeInt('attempt', { description: 'The attempt that failed, counted from 1.' }),
  }),
});

import { parseTaskId } from '../domain/parse.ts';
import type { TaskProgress } from '../domain/task.ts';
import { builder } from './builder.ts';

const TaskProgressRef = builder.objectRef<TaskProgress>('TaskProgress');

builder.objectType(TaskProgressRef, {
  description: 'How far a run of a task is, as its handler reports it.',
  fields: (t) => ({
    taskId: t.exposeID('taskId', { description: 'The task that runs.' }),
    attempt: t.exposeInt('attempt', { description: 'Which of its runs it is.' }),
    progress: t.exposeFloat('progress', { description: 'From 0 to 1.' }),
    message: t.exposeString('message', {
      nullable: true,
      description: 'What the handler says it is doing.',
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was so, by the database.' }),
  }),
});

builder.subscriptionField('taskProgressed', (t) =>
  t.field({
    type: TaskProgressRef,
    description:
      'How far a task is: the last value there is, then each new one, at most five a second; a slow reader gets the ' +
      'latest only. Completes after a final status, with the last value told.',
    args: { id: t.arg.id({ required: true, description: 'The UUID of the task.' }) },
    subscribe: (_root, { id }, { feed }) => feed.watchProgress(parseTaskId(id)),
    resolve: (progress) => progress,
  }),
);

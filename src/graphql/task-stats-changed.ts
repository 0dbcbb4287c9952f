import type { TaskCount } from '../store/task-counts.ts';
import type { TaskStats } from '../tasks/task-stats.ts';
import { builder } from './builder.ts';
import { TaskPriorityEnum, TaskStatusEnum } from './task-enums.ts';

const TaskCountRef = builder.objectRef<TaskCount>('TaskCount');

builder.objectType(TaskCountRef, {
  description: 'How many tasks have this status and this priority.',
  fields: (t) => ({
    status: t.expose('status', { type: TaskStatusEnum, description: 'Their status.' }),
    priority: t.expose('priority', { type: TaskPriorityEnum, description: 'Their priority.' }),
    count: t.exposeInt('count', { description: 'How many there are; 0 is told as well.' }),
  }),
});

const TaskStatsRef = builder.objectRef<TaskStats>('TaskStats');

builder.objectType(TaskStatsRef, {
  description: 'How many tasks there are.',
  fields: (t) => ({
    at: t.expose('at', {
      type: 'DateTime',
      description: 'When it was so, by the clock of the API.',
    }),
    total: t.int({
      description: 'How many there are in all.',
      resolve: ({ counts }) => counts.reduce((sum, { count }) => sum + count, 0),
    }),
    counts: t.field({
      type: [TaskCountRef],
      description: 'How many of each status and priority.',
      resolve: ({ counts }) => [...counts],
    }),
  }),
});

builder.subscriptionField('taskStatsChanged', (t) =>
  t.field({
    type: TaskStatsRef,
    description: 'How many tasks there are: now, and after each change, at most twice a second.',
    subscribe: (_root, _args, { feed }) => feed.watchStats(),
    resolve: (stats) => stats,
  }),
);

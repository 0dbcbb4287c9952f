import { parseTaskId } from '../domain/parse.ts';
import type { LargeField, Task } from '../domain/task.ts';
import { builder, type GraphqlContext } from './builder.ts';
import { attemptsOf, TaskAttemptRef } from './task-attempt.ts';
import { TaskPriorityEnum, TaskStatusEnum } from './task-enums.ts';
import { TaskErrorRef } from './task-error.ts';
import { TaskEventRef } from './task-event.ts';

/** The history of a task, read along with it or, for many at once, in one batch. */
const HISTORY = { events: { orderBy: { version: 'asc' } } } as const;

export const TaskRef = builder.prismaObject('Task', {
  description: 'A unit of work that a worker runs.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'UUID version 7, which rises with the time of creation. The same as in REST.',
    }),
    title: t.exposeString('title', { description: 'What a person reads in a list.' }),
    description: t.exposeString('description', { description: 'Free text; empty by default.' }),
    priority: t.expose('priority', {
      type: TaskPriorityEnum,
      description: 'Which queue carries it.',
    }),
    status: t.expose('status', { type: TaskStatusEnum, description: 'Where it stands.' }),
    type: t.exposeString('type', { description: 'Name of the handler that runs it.' }),
    payload: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Input of the handler.',
      resolve: largeField('payload'),
    }),
    result: t.field({
      type: 'JSON',
      nullable: true,
      description: 'What the handler returned; only when COMPLETED.',
      resolve: largeField('result'),
    }),
    error: t.expose('error', {
      type: TaskErrorRef,
      nullable: true,
      description: 'The last failure. It stays when a later attempt succeeds.',
    }),
    attempt: t.exposeInt('attempt', {
      description: 'Number of the current or latest run; 0 until the first one starts.',
    }),
    maxAttempts: t.exposeInt('maxAttempts', { description: 'How many runs it may use up.' }),
    progress: t.exposeFloat('progress', {
      nullable: true,
      description:
        'How far the current or latest run has got, from 0 to 1, as its handler reports it.',
    }),
    progressMessage: t.exposeString('progressMessage', {
      nullable: true,
      description: 'What the handler says it is doing, or said last.',
    }),
    version: t.exposeInt('version', {
      description:
        'Starts at 1 and rises by exactly 1 with each change of status, and with nothing else.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    runAt: t.expose('runAt', {
      type: 'DateTime',
      description:
        'Earliest start of the next run: what was asked for, or the end of the wait before a retry.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'It is cancelled if no run has started by then; null when it waits for ever, as it does after a retry.',
    }),
    startedAt: t.expose('startedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the current or latest run started.',
    }),
    finishedAt: t.expose('finishedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it reached a final status.',
    }),
    attempts: t.field({
      type: [TaskAttemptRef],
      description: 'Its runs, oldest first.',
      select: HISTORY,
      resolve: ({ events }) => attemptsOf(events),
    }),
    events: t.field({
      type: [TaskEventRef],
      description: 'Its history: one event per change of status, oldest first.',
      select: HISTORY,
      resolve: ({ events, ...task }) => events.map((event) => ({ event, task })),
    }),
  }),
});

/** Without a promise where there is no need for one: that would cost each live event a turn. */
function largeField(field: LargeField) {
  return (task: Task, _args: object, { service }: GraphqlContext) => {
    const whole = service.whole(task);
    return whole instanceof Promise ? whole.then((task) => task[field]) : whole[field];
  };
}

// Here and not with its type, because the two types refer to each other.
builder.objectField(TaskEventRef, 'task', (t) =>
  t.field({
    type: TaskRef,
    description:
      'The task. In a live event as the change left it; in a history or a backfill as it was when it was read.',
    resolve: ({ task }) => task,
  }),
);

builder.queryField('task', (t) =>
  t.prismaField({
    type: TaskRef,
    nullable: true,
    description: 'One task; null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'The UUID of the task.' }) },
    resolve: (query, _root, args, { service }) => service.find(parseTaskId(args.id), query),
  }),
);

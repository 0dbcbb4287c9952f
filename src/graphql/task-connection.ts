import { z } from 'zod';
import { parseInput } from '../domain/parse.ts';
import type { Task } from '../domain/task.ts';
import { type TaskFilter, taskFilterSchema } from '../domain/task-filter.ts';
import type { Page, PageRequest } from '../store/task-queries.ts';
import { builder } from './builder.ts';
import { decodePageCursor, encodePageCursor } from './page-cursor.ts';
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from './page-size.ts';
import { TaskRef } from './task.ts';
import { TaskFilterInput } from './task-filter.ts';

interface TaskConnection extends Page {
  filter: TaskFilter;
  request: PageRequest;
  /** How many the client said it wants from either end. */
  said: { first?: number | null | undefined; last?: number | null | undefined };
}

const PageInfoRef = builder.objectRef<TaskConnection>('PageInfo').implement({
  description: 'Whether and how the list goes on, as Relay defines it.',
  fields: (t) => ({
    hasNextPage: t.boolean({
      description: 'Whether older tasks follow the last edge.',
      resolve: ({ request, hasMore, said }) =>
        (hasMore && !request.fromOldest) || (isSet(request.newerThan) && said.first == null),
    }),
    hasPreviousPage: t.boolean({
      description: 'Whether newer tasks precede the first edge.',
      resolve: ({ request, hasMore, said }) =>
        (hasMore && request.fromOldest) || (isSet(request.olderThan) && said.last == null),
    }),
    startCursor: t.string({
      nullable: true,
      description: 'Cursor of the first edge; give it as `before` to read towards newer tasks.',
      resolve: ({ tasks }) => cursorOf(tasks.at(0)),
    }),
    endCursor: t.string({
      nullable: true,
      description: 'Cursor of the last edge; give it as `after` to read towards older tasks.',
      resolve: ({ tasks }) => cursorOf(tasks.at(-1)),
    }),
  }),
});

const TaskEdgeRef = builder.objectRef<Task>('TaskEdge').implement({
  description: 'A task in its place in the list.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Its place in the list, for `after` and `before`.',
      resolve: (task) => encodePageCursor(task.id),
    }),
    node: t.field({ type: TaskRef, description: 'The task.', resolve: (task) => task }),
  }),
});

const TaskConnectionRef = builder.objectRef<TaskConnection>('TaskConnection').implement({
  description: 'A page of tasks, newest first.',
  fields: (t) => ({
    edges: t.field({
      type: [TaskEdgeRef],
      description: 'The tasks of this page.',
      resolve: ({ tasks }) => tasks,
    }),
    pageInfo: t.field({
      type: PageInfoRef,
      description: 'Whether and how the list goes on.',
      resolve: (connection) => connection,
    }),
    totalCount: t.int({
      description:
        'Number of tasks that match the filter, on all pages: exact up to 10,000, an estimate above. ' +
        'Counted only when asked for.',
      resolve: ({ filter }, _args, { service }) => service.count(filter),
    }),
  }),
});

builder.queryField('tasks', (t) =>
  t.field({
    type: TaskConnectionRef,
    description:
      'Tasks, newest first, by pages as Relay defines them. Pages stay stable while tasks are added. ' +
      'Without `first` and `last` a page has 20 tasks.',
    args: {
      filter: t.arg({ type: TaskFilterInput, description: 'Which tasks; all by default.' }),
      first: t.arg.int({ description: 'Take this many from the start (newest): 1 to 100.' }),
      after: t.arg.string({ description: 'Only tasks behind (older than) this cursor.' }),
      last: t.arg.int({ description: 'Take this many from the end (oldest) instead: 1 to 100.' }),
      before: t.arg.string({ description: 'Only tasks before (newer than) this cursor.' }),
    },
    resolve: async (_root, args, { service }) => {
      const filter = parseInput(taskFilterSchema, args.filter ?? {}, ['filter']);
      const request = toPageRequest(parseInput(pageArguments, args));
      return { ...(await service.list(filter, request)), filter, request, said: args };
    },
  }),
);

const inRange = { error: `must be from 1 to ${MAX_PAGE_SIZE}` };
const pageSize = z.int().min(1, inRange).max(MAX_PAGE_SIZE, inRange).nullish();

const pageArguments = z
  .object({
    first: pageSize,
    last: pageSize,
    after: z.string().nullish(),
    before: z.string().nullish(),
  })
  .refine(({ first, last }) => first == null || last == null, {
    path: ['last'],
    error: 'must not be combined with first',
  });

function toPageRequest(args: z.infer<typeof pageArguments>): PageRequest {
  return {
    limit: args.first ?? args.last ?? DEFAULT_PAGE_SIZE,
    fromOldest: args.first == null && args.last != null,
    olderThan: args.after == null ? undefined : decodePageCursor('after', args.after),
    newerThan: args.before == null ? undefined : decodePageCursor('before', args.before),
  };
}

function cursorOf(task: Task | undefined): string | undefined {
  return task && encodePageCursor(task.id);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined;
}

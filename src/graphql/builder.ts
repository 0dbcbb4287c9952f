import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import type { z } from 'zod';
import type { NewTask } from '../domain/new-task.ts';
import type { Json, Task, TaskEvent } from '../domain/task.ts';
import type PrismaTypes from '../generated/pothos-types.ts';
import { getDatamodel } from '../generated/pothos-types.ts';
import type { PrismaClient } from '../generated/prisma/client.ts';
import type { TaskFeed } from '../tasks/task-feed.ts';
import type { TaskService } from '../tasks/task-service.ts';

/** What resolvers work with. */
export interface GraphqlContext {
  service: TaskService;
  feed: TaskFeed;
  /** Reads a task's history when a selection asks for it; everything else goes through the service. */
  prisma: PrismaClient;
  /** The rules for `CreateTaskInput`, by the types of task there are; and for a batch of them. */
  newTask: z.ZodType<NewTask>;
  newTasks: z.ZodType<NewTask[]>;
}

/** The generated models, with rows as the domain knows them: JSON columns hold what was checked when it was written. */
interface Models extends Omit<PrismaTypes, 'Task' | 'TaskEvent'> {
  Task: Omit<PrismaTypes['Task'], 'Shape' | 'Relations'> & {
    Shape: Task;
    Relations: { events: { Shape: TaskEvent[]; Name: 'TaskEvent'; Nullable: false } };
  };
  TaskEvent: Omit<PrismaTypes['TaskEvent'], 'Shape'> & { Shape: TaskEvent };
}

export const builder = new SchemaBuilder<{
  Context: GraphqlContext;
  PrismaTypes: Models;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: Json; Output: Json };
  };
}>({
  plugins: [PrismaPlugin],
  defaultFieldNullability: false,
  prisma: {
    client: (context) => context.prisma,
    dmmf: getDatamodel(),
  },
});

builder.queryType({ description: 'What can be asked about tasks.' });
builder.mutationType({
  description: 'What can be done with tasks. Several in one document run one after the other.',
});
builder.subscriptionType({
  description: 'What can be watched, over WebSocket (`graphql-ws`) or server-sent events.',
});

import type { FastifyInstance } from 'fastify';
import { parseInput, parseTaskId } from '../domain/parse.ts';
import type { TaskTypes } from '../domain/task-types.ts';
import type { TaskService } from '../tasks/task-service.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';
import { requireJson } from './json-body.ts';
import { newTaskJson } from './new-task-json.ts';
import { toTaskJson, toTaskStatusJson } from './task-json.ts';
import { parseTaskListQuery } from './task-list-query.ts';

export const TASKS_PATH = '/api/v1/tasks';

interface ById {
  Params: { id: string };
}

/** What curl needs, documented in `task-operations.ts`. */
export function addTaskRoutes(
  app: FastifyInstance,
  { tasks, taskTypes }: { tasks: TaskService; taskTypes: TaskTypes },
): void {
  const newTask = newTaskJson(taskTypes);
  const newTaskWithKey = newTaskJson(taskTypes, { hasKey: true });

  app.post(TASKS_PATH, { onRequest: requireJson }, async (request, reply) => {
    const idempotencyKey = idempotencyKeyOf(request.headers);
    const input = parseInput(idempotencyKey === null ? newTask : newTaskWithKey, request.body);
    const { task, replayed } = await tasks.create({ ...input, idempotencyKey });
    if (replayed) reply.header('idempotency-replayed', 'true');
    reply.code(replayed ? 200 : 201).header('location', `${TASKS_PATH}/${task.id}`);
    return toTaskJson(task);
  });

  app.get(TASKS_PATH, async (request, reply) => {
    const { filter, page } = parseTaskListQuery(request.query);
    const [list, total] = await Promise.all([tasks.list(filter, page), tasks.count(filter)]);
    reply.header('x-total-count', total);
    return list.tasks.map(toTaskJson);
  });

  app.get<ById>(`${TASKS_PATH}/:id`, async ({ params }) => {
    return toTaskJson(await tasks.get(parseTaskId(params.id)));
  });

  app.get<ById>(`${TASKS_PATH}/:id/status`, async ({ params }) => {
    return toTaskStatusJson(await tasks.get(parseTaskId(params.id)));
  });

  app.delete<ById>(`${TASKS_PATH}/:id`, async ({ params }) => {
    return toTaskJson(await tasks.cancel(parseTaskId(params.id)));
  });
}

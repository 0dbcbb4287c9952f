import { newTaskFields } from '../domain/new-task.ts';
import { IDEMPOTENCY_KEY } from './idempotency-key.ts';
import { jsonSchema } from './json-schema.ts';
import { answer, type Operation, type Paths, queryParameters, ref, refusal } from './operation.ts';
import { exampleId, taskExample } from './task-json.ts';
import { taskListQuery } from './task-list-query.ts';
import { TASKS_PATH } from './task-routes.ts';

/** The routes of `task-routes.ts`, for the OpenAPI document. */
export function taskOperations(): Paths {
  return {
    [TASKS_PATH]: { get: listTasks(), post: createTask() },
    [`${TASKS_PATH}/{id}`]: { get: getTask, delete: cancelTask },
    [`${TASKS_PATH}/{id}/status`]: { get: getTaskStatus },
  };
}

const tags = ['Tasks'];

export const away = refusal(503, 'The database is not reachable. Try again shortly.');
export const unknown = refusal(404, `There is no task ${exampleId}.`);
const badId = refusal(422, 'id: must be a UUID', [{ path: ['id'], message: 'must be a UUID' }]);

export const taskIdParameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: "The task's id.",
  schema: { type: 'string', format: 'uuid' },
  example: exampleId,
};

function listTasks(): Operation {
  const limit = 'must be a whole number from 1 to 100';
  return {
    operationId: 'listTasks',
    summary: 'List tasks, newest first',
    tags,
    parameters: queryParameters(taskListQuery.shape),
    responses: {
      200: answer('The tasks.', { type: 'array', items: ref('Task') }, [taskExample], {
        'X-Total-Count': 'How many tasks match; exact up to 10,000, an estimate above.',
      }),
      ...refusal(422, `limit: ${limit}`, [{ path: ['limit'], message: limit }]),
      ...away,
    },
  };
}

function createTask(): Operation {
  const location = { Location: 'Where the task is.' };
  return {
    operationId: 'createTask',
    summary: 'Create a task',
    description:
      'The task is stored durably before it is answered. It is PENDING once RabbitMQ has confirmed it, and NEW if ' +
      'RabbitMQ is away or `run_at` lies ahead.',
    tags,
    parameters: [
      {
        name: IDEMPOTENCY_KEY,
        in: 'header',
        description:
          'Any text. A repeat with the same key and the same input gives the task that the first one created.',
        schema: jsonSchema(newTaskFields.idempotencyKey, 'input'),
      },
    ],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: ref('NewTask') } },
    },
    responses: {
      200: answer('A repeat: the task that was created before.', ref('Task'), taskExample, {
        ...location,
        'Idempotency-Replayed': 'true',
      }),
      201: answer('The task.', ref('Task'), taskExample, location),
      ...refusal(400, 'The body is not valid JSON.'),
      ...refusal(409, 'The idempotency key "order-17" was already used with other input.'),
      ...refusal(413, 'The body is larger than 1 MiB.'),
      ...refusal(415, 'Send JSON, with the header Content-Type: application/json.'),
      ...refusal(422, 'title: is required', [{ path: ['title'], message: 'is required' }]),
      ...away,
    },
  };
}

const getTask: Operation = {
  operationId: 'getTask',
  summary: 'Get a task',
  tags,
  parameters: [taskIdParameter],
  responses: {
    200: answer('The task.', ref('Task'), taskExample),
    ...unknown,
    ...badId,
    ...away,
  },
};

const cancelTask: Operation = {
  operationId: 'cancelTask',
  summary: 'Cancel a task',
  description: 'Final at once; code that runs for it is told to stop.',
  tags,
  parameters: [taskIdParameter],
  responses: {
    200: answer('The task, cancelled.', ref('Task'), {
      ...taskExample,
      status: 'CANCELLED',
      finished_at: '2030-01-31T12:00:05.000Z',
    }),
    ...unknown,
    ...refusal(409, `Task ${exampleId} is already COMPLETED.`),
    ...badId,
    ...away,
  },
};

const getTaskStatus: Operation = {
  operationId: 'getTaskStatus',
  summary: "Get a task's status",
  description: 'For those who poll. `/events` says it without being asked.',
  tags,
  parameters: [taskIdParameter],
  responses: {
    200: answer('Where the task stands.', ref('TaskStatus'), {
      id: exampleId,
      status: 'IN_PROGRESS',
    }),
    ...unknown,
    ...badId,
    ...away,
  },
};

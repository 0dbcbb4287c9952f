import { z } from 'zod';
import { TASK_PRIORITIES, TASK_STATUSES, type Task } from '../domain/task.ts';

const anyJson = z.custom<Task['result']>();
const moment = z.iso.datetime();

export const exampleId = '019a1f5e-6f0a-7c3b-9d42-5b1e8c7a9f10';

/** For the documentation. */
export const taskExample = {
  id: exampleId,
  title: 'Resize the holiday photos',
  description: '',
  priority: 'HIGH',
  status: 'PENDING',
  type: 'simulate',
  payload: { durationMs: 500 },
  result: null,
  error: null,
  attempt: 0,
  max_attempts: 3,
  progress: null,
  created_at: '2030-01-31T12:00:00.000Z',
  run_at: '2030-01-31T12:00:00.000Z',
  started_at: null,
  finished_at: null,
};

/** A task as REST shows it. */
export const taskJson = z
  .object({
    id: z.uuid().meta({ description: 'UUID, version 7: ids of later tasks are greater.' }),
    title: z.string().meta({ description: 'What it is, in a few words.' }),
    description: z.string().meta({ description: 'More about it; empty when there is none.' }),
    priority: z.enum(TASK_PRIORITIES).meta({ description: 'Which of the three queues it takes.' }),
    status: z.enum(TASK_STATUSES).meta({
      description:
        'NEW: stored, its time has not come. PENDING: waits for a worker. IN_PROGRESS: runs. ' +
        'COMPLETED, FAILED, CANCELLED: final.',
    }),
    type: z.string().meta({ description: 'The name of the handler that runs it.' }),
    payload: anyJson.meta({ description: 'What its handler was given: any JSON.' }),
    result: anyJson.meta({ description: 'What its handler returned: any JSON, null until then.' }),
    error: z.string().nullable().meta({ description: 'The message of the last failure.' }),
    attempt: z
      .int()
      .meta({ description: 'Number of the current or latest run; 0 until the first one starts.' }),
    max_attempts: z.int().meta({ description: 'How many runs it may have.' }),
    progress: z.number().nullable().meta({ description: 'From 0 to 1, when its handler says.' }),
    created_at: moment.meta({ description: 'When it was created.' }),
    run_at: moment.meta({ description: 'The earliest time for its next run.' }),
    started_at: moment.nullable().meta({ description: 'When its latest run started.' }),
    finished_at: moment.nullable().meta({ description: 'When it became final.' }),
  })
  .meta({
    description: 'A unit of work. Times are RFC 3339, in UTC.',
    examples: [taskExample],
  });

export type TaskJson = z.infer<typeof taskJson>;

export function toTaskJson(task: Task): TaskJson {
  return {
    id: task.id,
    title: task.title,
    description: task.description,
    priority: task.priority,
    status: task.status,
    type: task.type,
    payload: task.payload,
    result: task.result,
    error: task.error === null ? null : task.error.message,
    attempt: task.attempt,
    max_attempts: task.maxAttempts,
    progress: task.progress,
    created_at: task.createdAt.toISOString(),
    run_at: task.runAt.toISOString(),
    started_at: task.startedAt === null ? null : task.startedAt.toISOString(),
    finished_at: task.finishedAt === null ? null : task.finishedAt.toISOString(),
  };
}

/** The answer to someone who polls. */
export const taskStatusJson = taskJson.pick({ id: true, status: true }).meta({
  description: 'Where a task stands.',
  examples: [{ id: exampleId, status: 'IN_PROGRESS' }],
});

export function toTaskStatusJson({ id, status }: Task): z.infer<typeof taskStatusJson> {
  return { id, status };
}

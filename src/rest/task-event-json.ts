import { z } from 'zod';
import { TASK_STATUSES } from '../domain/task.ts';
import { cursorOf, type StreamedChange } from '../tasks/cursor.ts';
import { exampleId, taskExample, taskJson, toTaskJson } from './task-json.ts';

/** For the documentation. */
export const taskEventExample = {
  cursor: 'MTo3OjI6MDE5YTFmNWUtNmYwYS03YzNiLTlkNDItNWIxZThjN2E5ZjEw',
  task_id: exampleId,
  version: 2,
  status: 'PENDING',
  previous_status: 'NEW',
  attempt: 0,
  at: '2030-01-31T12:00:00.000Z',
  reason: null,
  task: taskExample,
};

/** A change of status as REST shows it. */
export const taskEventJson = z
  .object({
    cursor: z.string().meta({
      description: 'Hand the last one you saw back as `after`, and the stream goes on from there.',
    }),
    task_id: z.uuid().meta({ description: 'The task that changed.' }),
    version: z.int().meta({
      description: 'The version of the task after the change: 1, 2, 3, … without a gap.',
    }),
    status: z.enum(TASK_STATUSES).meta({ description: 'The status after the change.' }),
    previous_status: z.enum(TASK_STATUSES).nullable().meta({
      description: 'The status before the change; null for the creation.',
    }),
    attempt: z.int().meta({ description: 'The attempt after the change; 0 before the first run.' }),
    at: z.iso.datetime().meta({ description: 'When it changed, by the clock of the database.' }),
    reason: z.string().nullable().meta({ description: 'Why, when there is something to say.' }),
    task: taskJson.meta({
      description:
        'The task. In a live event as the change left it; in what was missed as it was when it was read.',
    }),
  })
  .meta({
    description: 'A change of status that happened. Being created is the first one.',
    examples: [taskEventExample],
  });

export type TaskEventJson = z.infer<typeof taskEventJson>;

export function toTaskEventJson(change: StreamedChange): TaskEventJson {
  const { event, task } = change;
  return {
    cursor: cursorOf(change),
    task_id: event.taskId,
    version: event.version,
    status: event.status,
    previous_status: event.previousStatus,
    attempt: event.attempt,
    at: event.at.toISOString(),
    reason: event.reason,
    task: toTaskJson(task),
  };
}

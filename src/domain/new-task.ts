import { z } from 'zod';
import { jsonProblem, textProblem } from './json.ts';
import { type Json, TASK_PRIORITIES, type TaskPriority } from './task.ts';
import { fitsType, type TaskTypes } from './task-types.ts';

/** A task as a client asks for it, checked and with every default filled in. */
export interface NewTask {
  title: string;
  description: string;
  priority: TaskPriority;
  type: string;
  payload: Json | null;
  /** Null: at once. */
  runAt: Date | null;
  maxAttempts: number;
  timeoutSeconds: number | null;
  idempotencyKey: string | null;
}

/** Most tasks that one `createTasks` may carry. */
export const MAX_BATCH = 1_000;

export const DEFAULT_TYPE = 'simulate';
export const DEFAULT_MAX_ATTEMPTS = 3;
const YEAR_MS = 366 * 24 * 60 * 60 * 1_000;
const WEEK_SECONDS = 7 * 24 * 60 * 60;

/** A string that can be stored, of at most `max` characters. */
export function text(max: number) {
  return z
    .string({ error: (issue) => (issue.input === undefined ? 'is required' : 'must be a string') })
    .max(max, { error: `must have at most ${max.toLocaleString('en-US')} characters` })
    .superRefine(refuse(textProblem));
}

const nonEmpty = { error: 'must not be empty', abort: true };

function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max.toLocaleString('en-US')}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** The rules for each thing a client may say about a task. Both APIs build their input from these. */
export const newTaskFields = {
  title: text(255).min(1, nonEmpty).regex(/\S/, { error: 'must not be blank' }),
  description: text(10_000),
  priority: z.enum(TASK_PRIORITIES, { error: `must be one of ${TASK_PRIORITIES.join(', ')}` }),
  type: text(100).min(1, nonEmpty),
  payload: z.custom<Json>().superRefine(refuse(jsonProblem)),
  runAt: z.date().superRefine(refuse(runAtProblem)),
  maxAttempts: wholeNumber(1, 100),
  timeoutSeconds: wholeNumber(1, WEEK_SECONDS),
  idempotencyKey: text(255).min(1, nonEmpty),
};

/** The input of `createTask`, by its names there. Null means the same as left out. */
export function newTaskSchema(types: TaskTypes): z.ZodType<NewTask> {
  return newTaskObject.superRefine(fitsType(types));
}

const newTaskObject = z.strictObject({
  title: newTaskFields.title,
  description: newTaskFields.description.nullish().transform((value) => value ?? ''),
  priority: newTaskFields.priority.nullish().transform((value) => value ?? 'MEDIUM'),
  type: newTaskFields.type.nullish().transform((value) => value ?? DEFAULT_TYPE),
  payload: newTaskFields.payload.nullish().transform((value) => value ?? null),
  runAt: newTaskFields.runAt.nullish().transform((value) => value ?? null),
  maxAttempts: newTaskFields.maxAttempts
    .nullish()
    .transform((value) => value ?? DEFAULT_MAX_ATTEMPTS),
  timeoutSeconds: newTaskFields.timeoutSeconds.nullish().transform((value) => value ?? null),
  idempotencyKey: newTaskFields.idempotencyKey.nullish().transform((value) => value ?? null),
});

function runAtProblem(at: Date): string | undefined {
  if (at.getTime() > Date.now() + YEAR_MS) return 'must not be more than a year ahead';
  if (at.getTime() < 0) return 'must not be before 1970';
  return undefined;
}

function refuse<T>(problemOf: (value: T) => string | undefined) {
  return (value: T, context: z.core.$RefinementCtx<T>) => {
    const message = problemOf(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  };
}

import { z } from 'zod';
import { jsonProblem, textProblem } from './json.ts';
import { type Json, TASK_PRIORITIES, type TaskPriority, type TaskRetry } from './task.ts';
import { taskRetrySchema } from './task-retry.ts';
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
  /** Cancelled if not started by then. At most one of the two is set; both null: waits for ever. */
  expiresAt: Date | null;
  /** The same, in seconds after `runAt`, or after it is stored if that is later. */
  ttlSeconds: number | null;
  maxAttempts: number;
  timeoutSeconds: number | null;
  /** Null: as its type says. */
  retry: TaskRetry | null;
  idempotencyKey: string | null;
}

/** Most tasks that one `createTasks` may carry. */
export const MAX_BATCH = 1_000;

export const DEFAULT_TYPE = 'simulate';
export const DEFAULT_MAX_ATTEMPTS = 3;
const YEAR_SECONDS = 366 * 24 * 60 * 60;
const YEAR_MS = YEAR_SECONDS * 1_000;
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
  expiresAt: z.date(),
  ttlSeconds: wholeNumber(1, YEAR_SECONDS),
  maxAttempts: wholeNumber(1, 100),
  timeoutSeconds: wholeNumber(1, WEEK_SECONDS),
  idempotencyKey: text(255).min(1, nonEmpty),
};

/** The input of `createTask`, by its names there. Null means the same as left out. */
export function newTaskSchema(types: TaskTypes): z.ZodType<NewTask> {
  return newTaskObject.superRefine(fitsType(types)).superRefine(hasDeadlineAhead());
}

/**
 * Refines a task: it has one deadline at most, which lies ahead of its first run, by no more than a year. That of a task
 * with an idempotency key may have passed: it may be a repeat of what came in time. If it is none, the task is cancelled.
 * @param names what the client calls the fields
 */
export function hasDeadlineAhead(
  names = { runAt: 'runAt', expiresAt: 'expiresAt', ttlSeconds: 'ttlSeconds' },
  hasKey = ({ idempotencyKey }: NewTask) => idempotencyKey !== null,
) {
  return (task: NewTask, context: z.core.$RefinementCtx<NewTask>): void => {
    const { runAt, expiresAt, ttlSeconds } = task;
    if (expiresAt === null) return;
    if (ttlSeconds !== null) {
      const message = `must not be combined with ${names.expiresAt}`;
      context.addIssue({ code: 'custom', path: [names.ttlSeconds], message });
    }
    const start = Math.max(runAt?.getTime() ?? 0, Date.now());
    const after = hasKey(task) ? (runAt?.getTime() ?? 0) : start;
    if (expiresAt.getTime() > after && expiresAt.getTime() <= start + YEAR_MS) return;
    const message = `must be after now and after ${names.runAt}, by at most a year`;
    context.addIssue({ code: 'custom', path: [names.expiresAt], message });
  };
}

const newTaskObject = z.strictObject({
  title: newTaskFields.title,
  description: newTaskFields.description.nullish().transform((value) => value ?? ''),
  priority: newTaskFields.priority.nullish().transform((value) => value ?? 'MEDIUM'),
  type: newTaskFields.type.nullish().transform((value) => value ?? DEFAULT_TYPE),
  payload: newTaskFields.payload.nullish().transform((value) => value ?? null),
  runAt: newTaskFields.runAt.nullish().transform((value) => value ?? null),
  expiresAt: newTaskFields.expiresAt.nullish().transform((value) => value ?? null),
  ttlSeconds: newTaskFields.ttlSeconds.nullish().transform((value) => value ?? null),
  maxAttempts: newTaskFields.maxAttempts
    .nullish()
    .transform((value) => value ?? DEFAULT_MAX_ATTEMPTS),
  timeoutSeconds: newTaskFields.timeoutSeconds.nullish().transform((value) => value ?? null),
  retry: taskRetrySchema.nullish().transform((value) => value ?? null),
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

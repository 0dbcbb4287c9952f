import { z } from 'zod';
import type {
  Json,
  Task,
  TaskChange,
  TaskError,
  TaskEvent,
  TaskProgress,
  TaskRetry,
} from '../domain/task.ts';
import {
  ATTEMPT_OUTCOMES,
  LARGE_FIELDS,
  MAX_CARRIED_LENGTH,
  TASK_PRIORITIES,
  TASK_STATUSES,
} from '../domain/task.ts';
import type { TaskMessage } from './messages.ts';
import { timeText } from './time-text.ts';

/** Not what this service sends: no JSON, or JSON of another shape. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

export function encodeTaskMessage({ id, priority, storedAt }: TaskMessage): Buffer {
  return Buffer.from(JSON.stringify({ id, priority, storedAt }));
}

/** @throws MalformedMessage */
export function decodeTaskMessage(content: Buffer): TaskMessage {
  return decode(taskMessage, content);
}

/**
 * As JSON. Dates become RFC 3339 strings, `seq` a string of digits (JSON has no 64-bit integers). What is large stays
 * behind: it would go to every process that listens, and few of their clients select it.
 */
export function encodeTaskChange({ event, task }: TaskChange): string {
  const text = JSON.stringify({ event: toWireEvent(event), task: toWireTask(task) });
  if (text.length <= MAX_CARRIED_LENGTH) return text;
  const omitted = LARGE_FIELDS.filter(
    (field) => JSON.stringify(task[field]).length > MAX_CARRIED_LENGTH,
  );
  if (omitted.length === 0) return text;
  const nothing = Object.fromEntries(omitted.map((field) => [field, null]));
  return encodeTaskChange({ event, task: { ...task, ...nothing, omitted } });
}

/** As JSON would have them; said field by field, since `JSON.stringify` takes ten times as long over a Date. */
function toWireEvent(event: TaskEvent): Record<keyof TaskEvent, Json | undefined> {
  return {
    taskId: event.taskId,
    version: event.version,
    seq: String(event.seq),
    status: event.status,
    previousStatus: event.previousStatus,
    attempt: event.attempt,
    at: timeText(event.at),
    reason: event.reason,
    outcome: event.outcome,
    workerId: event.workerId,
    error: event.error,
  };
}

function toWireTask(task: Task): Record<keyof Task, Json | readonly Json[] | undefined> {
  return {
    id: task.id,
    title: task.title,
    description: task.description,
    priority: task.priority,
    status: task.status,
    type: task.type,
    payload: task.payload,
    result: task.result,
    error: task.error,
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    attemptBudget: task.attemptBudget,
    timeoutSeconds: task.timeoutSeconds,
    retry: task.retry,
    progress: task.progress,
    progressMessage: task.progressMessage,
    version: task.version,
    workerId: task.workerId,
    createdAt: timeText(task.createdAt),
    runAt: timeText(task.runAt),
    expiresAt: task.expiresAt && timeText(task.expiresAt),
    queuedAt: task.queuedAt && timeText(task.queuedAt),
    startedAt: task.startedAt && timeText(task.startedAt),
    finishedAt: task.finishedAt && timeText(task.finishedAt),
    omitted: task.omitted,
  };
}

/** Fields it does not know are left out, so that a newer process may add some. @throws MalformedMessage */
export function decodeTaskChange(content: Buffer): TaskChange {
  return decode(taskChange, content);
}

/** As JSON. */
export function encodeTaskProgress(progress: TaskProgress): string {
  return JSON.stringify(progress);
}

/** As `decodeTaskChange`. @throws MalformedMessage */
export function decodeTaskProgress(content: Buffer): TaskProgress {
  return decode(taskProgress, content);
}

function decode<T>(schema: z.ZodType<T>, content: Buffer): T {
  const parsed = schema.safeParse(parseJson(content));
  if (parsed.success) return parsed.data;
  throw new MalformedMessage(z.prettifyError(parsed.error), { cause: parsed.error });
}

function parseJson(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString());
  } catch (cause) {
    throw new MalformedMessage('not JSON', { cause });
  }
}

const date = z.iso.datetime().transform((text) => new Date(text));
// What JSON.parse gave is JSON: only its presence needs a look, not every level of a large payload.
const json = z.custom<Json>((value) => value !== undefined);
const count = z.int().nonnegative();

const taskMessage = z.object({
  // As PostgreSQL writes it, whoever sent it.
  id: z.uuid().toLowerCase(),
  priority: z.enum(TASK_PRIORITIES),
  storedAt: z.number().optional(),
}) satisfies z.ZodType<TaskMessage>;

const taskError = z.object({
  name: z.string(),
  message: z.string(),
  stack: z.string().nullable(),
  attempt: count,
}) satisfies z.ZodType<TaskError>;

const taskRetry = z.object({
  baseMs: z.number().nullable(),
  factor: z.number().nullable(),
  capMs: z.number().nullable(),
  jitter: z.number().nullable(),
}) satisfies z.ZodType<TaskRetry>;

const taskChange = z.object({
  event: z.object({
    taskId: z.uuid(),
    version: count,
    seq: z
      .string()
      .regex(/^\d{1,19}$/)
      .transform(BigInt),
    status: z.enum(TASK_STATUSES),
    previousStatus: z.enum(TASK_STATUSES).nullable(),
    attempt: count,
    at: date,
    reason: z.string().nullable(),
    outcome: z.enum(ATTEMPT_OUTCOMES).nullable(),
    workerId: z.string().nullable(),
    error: taskError.nullable(),
  }),
  task: z.object({
    id: z.uuid(),
    title: z.string(),
    description: z.string(),
    priority: z.enum(TASK_PRIORITIES),
    status: z.enum(TASK_STATUSES),
    type: z.string(),
    payload: json,
    result: json,
    error: taskError.nullable(),
    attempt: count,
    maxAttempts: count,
    attemptBudget: count,
    timeoutSeconds: z.number().nullable(),
    // Older processes leave this out, and `expiresAt`.
    retry: taskRetry.nullable().default(null),
    progress: z.number().nullable(),
    progressMessage: z.string().nullable(),
    version: count,
    workerId: z.string().nullable(),
    createdAt: date,
    runAt: date,
    expiresAt: date.nullable().default(null),
    queuedAt: date.nullable(),
    startedAt: date.nullable(),
    finishedAt: date.nullable(),
    omitted: z.array(z.enum(LARGE_FIELDS)).optional(),
  }),
}) satisfies z.ZodType<TaskChange>;

const taskProgress = z.object({
  taskId: z.uuid(),
  version: count,
  attempt: count,
  progress: z.number().min(0).max(1),
  message: z.string().nullable(),
  at: date,
}) satisfies z.ZodType<TaskProgress>;

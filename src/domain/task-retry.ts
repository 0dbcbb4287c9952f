import { z } from 'zod';
import type { TaskRetry } from './task.ts';

const DAY_SECONDS = 24 * 60 * 60;

/** The rules for each thing a client may say about the retries of a task. */
export const taskRetryFields = {
  baseSeconds: numberFrom(0, DAY_SECONDS),
  factor: numberFrom(1, 100),
  capSeconds: numberFrom(0, 7 * DAY_SECONDS),
  jitter: numberFrom(0, 1),
};

/** `retry` of `createTask`, by its names there. Null means the same as left out. */
export const taskRetrySchema = z
  .strictObject({
    baseSeconds: taskRetryFields.baseSeconds.nullish(),
    factor: taskRetryFields.factor.nullish(),
    capSeconds: taskRetryFields.capSeconds.nullish(),
    jitter: taskRetryFields.jitter.nullish(),
  })
  .transform(toTaskRetry);

/** What a client said, in milliseconds, with every part it left out null. */
export function toTaskRetry(said: {
  baseSeconds?: number | null | undefined;
  factor?: number | null | undefined;
  capSeconds?: number | null | undefined;
  jitter?: number | null | undefined;
}): TaskRetry {
  return {
    baseMs: inMs(said.baseSeconds),
    factor: said.factor ?? null,
    capMs: inMs(said.capSeconds),
    jitter: said.jitter ?? null,
  };
}

function inMs(seconds: number | null | undefined): number | null {
  return seconds == null ? null : Math.round(seconds * 1_000);
}

function numberFrom(min: number, max: number) {
  const error = `must be a number from ${min} to ${max.toLocaleString('en-US')}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

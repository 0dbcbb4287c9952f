import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { TaskPriority } from '../../domain/task.ts';
import type { TaskHandler } from '../handler.ts';

const DURATION_MS: Record<TaskPriority, number> = { HIGH: 2_000, MEDIUM: 5_000, LOW: 10_000 };
const HOUR_MS = 3_600_000;
/** How often it tells its progress. */
const STEP_MS = 1_000;

const payloadSchema = z
  .strictObject({
    durationMs: z.number().min(0).max(HOUR_MS).optional(),
    failAttempts: z.int().min(0).optional(),
    error: z.string().max(1_000).optional(),
  })
  .nullable();

/** Pretends to work: waits as long as its priority says, and fails as often as its payload says. */
export const simulate: TaskHandler = {
  description:
    'Waits 2 s (HIGH), 5 s (MEDIUM) or 10 s (LOW) and returns a sentence. Payload, all optional: `durationMs` sets ' +
    'the duration, `failAttempts` makes the first N attempts fail, `error` is the message they fail with.',
  payload: payloadSchema,

  async run({ task, signal, progress }) {
    const payload = payloadSchema.parse(task.payload);
    const durationMs = payload?.durationMs ?? DURATION_MS[task.priority];
    for (let doneMs = 0; doneMs < durationMs; ) {
      const stepMs = Math.min(STEP_MS, durationMs - doneMs);
      await sleep(stepMs, undefined, { signal });
      doneMs += stepMs;
      if (doneMs < durationMs) progress(doneMs / durationMs, 'simulating');
    }
    if (task.attempt <= (payload?.failAttempts ?? 0)) {
      throw new Error(payload?.error ?? `Attempt ${task.attempt} was told to fail.`);
    }
    return `Simulated "${task.title}" for ${durationMs / 1_000} s.`;
  },
};

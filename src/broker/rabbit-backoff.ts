import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_DELAY_MS = 100;
/** Well below 5 s: tasks have to go out within 5 s of RabbitMQ's return, connecting and dispatching included. */
const MAX_DELAY_MS = 2_000;
/** Who has not asked for that long was working in between. Longer than a failed attempt may take. */
const FORGET_AFTER_MS = 15_000;

export interface Backoff {
  /** Waits 0.1 s, 0.2 s … 2 s, each less up to half by chance. Returns early when the signal aborts. */
  wait(signal: AbortSignal): Promise<void>;
}

export function createBackoff(random: () => number = Math.random): Backoff {
  let attempt = 0;
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    async wait(signal) {
      const now = performance.now();
      attempt = now - lastAt > FORGET_AFTER_MS ? 0 : attempt + 1;
      lastAt = now;
      const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt) * (1 - random() / 2);
      await sleep(delayMs, undefined, { signal }).catch(() => {
        // Aborted: that is what the signal is for.
      });
    },
  };
}

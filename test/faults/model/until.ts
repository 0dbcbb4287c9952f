import { setTimeout as sleep } from 'node:timers/promises';

const INTERVAL_MS = 20;

/** Waits; no longer once the signal has fired. Never throws. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/** Looks again and again. @returns whether it became true in time */
export async function until(
  withinMs: number,
  isSo: () => Promise<boolean> | boolean,
): Promise<boolean> {
  const givesUpAt = performance.now() + withinMs;
  for (;;) {
    if (await isSo()) return true;
    if (performance.now() > givesUpAt) return false;
    await pause(INTERVAL_MS);
  }
}

import { setTimeout as sleep } from 'node:timers/promises';

/** Waits; not any longer once the signal has fired. Never throws. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

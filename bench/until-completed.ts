import { setTimeout as pause } from 'node:timers/promises';
import type { Completed, Deployment } from './contender.ts';

/** Waits until so many tasks are COMPLETED and none is open. @throws when they are others, or it takes too long */
export async function untilCompleted(deployment: Deployment, count: number): Promise<Completed> {
  const giveUpAt = performance.now() + COMPLETED_WITHIN_MS;
  while (await deployment.hasOpen()) {
    if (performance.now() > giveUpAt) throw new Error(`Not all of ${count} were completed.`);
    await pause(LOOK_EVERY_MS);
  }
  const completed = await deployment.completed();
  if (completed.count === count) return completed;
  throw new Error(`${completed.count} tasks were completed, not ${count}.`);
}

const COMPLETED_WITHIN_MS = 180_000;
/** Seldom, so as to take next to nothing from those who work; when the last was completed is stored with it. */
const LOOK_EVERY_MS = 50;

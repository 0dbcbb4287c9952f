import { setTimeout as sleep } from 'node:timers/promises';

/** How long a slow read, or one on a dead connection, may keep the next waiting. */
const PATIENCE_MS = 500;

/**
 * Does a read for all who ask the same at the same time: one is under way, and all who come meanwhile share the next.
 * That begins when the first is done or has taken long: after each of them has asked, so nobody is told what was true
 * before.
 *
 * @returns does `read`, or has it done for another caller with the same key; a failure is that of all who share it
 */
export function createSharedReads(): <T>(key: string, read: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, Promise<unknown>>();
  const next = new Map<string, Promise<unknown>>();

  function begin(key: string, read: () => Promise<unknown>): Promise<unknown> {
    const reading = read().finally(() => {
      if (underWay.get(key) === reading) underWay.delete(key);
    });
    underWay.set(key, reading);
    return reading;
  }

  function queue(key: string, after: Promise<unknown>, read: () => Promise<unknown>) {
    const done = after.catch(() => {});
    const reading = Promise.race([done, sleep(PATIENCE_MS, undefined, { ref: false })]).then(() => {
      next.delete(key);
      return begin(key, read);
    });
    next.set(key, reading);
    return reading;
  }

  return <T>(key: string, read: () => Promise<T>) => {
    const before = underWay.get(key);
    const shared =
      before === undefined ? begin(key, read) : (next.get(key) ?? queue(key, before, read));
    // Whoever uses a key reads the same under it.
    return shared as Promise<T>;
  };
}

import type { Logger } from 'pino';

/** Work that is done again and again, one step at a time. */
export interface Loop {
  /** Do the next step now; if one is under way, do another right after it. */
  wake(): void;
  /** No further step; resolves when the one under way is done. */
  stop(): Promise<void>;
}

/**
 * Starts at once. A step that throws is logged, once until one succeeds again, and the loop goes on.
 * @param step does the work and returns the milliseconds until the next step
 */
export function startLoop(options: {
  name: string;
  step: () => Promise<number>;
  /** Until the next step after one that threw. */
  retryMs?: number;
  log: Logger;
}): Loop {
  const { name, step, retryMs = 1_000, log } = options;
  let timer: NodeJS.Timeout | undefined;
  let woken = false;
  let stopped = false;
  let failing = false;
  let current = Promise.resolve();

  async function run() {
    timer = undefined;
    woken = false;
    const delayMs = await attempt();
    if (stopped) return;
    timer = setTimeout(start, woken ? 0 : delayMs);
  }

  async function attempt(): Promise<number> {
    try {
      const delayMs = await step();
      if (failing) log.info(`${name}: works again`);
      failing = false;
      return delayMs;
    } catch (error) {
      if (!failing) log.warn({ err: error }, `${name}: failed, will try again`);
      failing = true;
      return retryMs;
    }
  }

  function start() {
    current = run();
  }

  start();
  return {
    wake() {
      woken = true;
      if (stopped || timer === undefined) return;
      clearTimeout(timer);
      start();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await current;
    },
  };
}

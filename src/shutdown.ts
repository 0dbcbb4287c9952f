import type { Logger } from 'pino';

/** What has been opened and must be released, last opened first. */
export interface Releases {
  /** @param withinMs how long the release may take before it is left behind */
  push(name: string, release: () => Promise<void> | void, withinMs?: number): void;
  /** Releases everything, in reverse order; one that fails or hangs is logged and skips none of the others. */
  run(): Promise<void>;
}

export function createReleases(log: Logger): Releases {
  const stack: { name: string; release: () => Promise<void> | void; withinMs: number }[] = [];
  return {
    push(name, release, withinMs = RELEASE_TIMEOUT_MS) {
      stack.push({ name, release, withinMs });
    },
    async run() {
      for (let last = stack.pop(); last !== undefined; last = stack.pop()) {
        try {
          await within(last.withinMs, last.release());
        } catch (error) {
          log.error({ err: error }, `could not stop ${last.name} cleanly`);
        }
      }
    },
  };
}

const RELEASE_TIMEOUT_MS = 5_000;

async function within(ms: number, work: Promise<void> | void): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It took longer than ${ms} ms.`)), ms);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export type StopSignal = 'SIGTERM' | 'SIGINT';

/** SIGTERM or SIGINT: drains and exits 0. A second one exits at once. */
export function stopOnSignal(stop: (cause: StopSignal) => Promise<void>, log: Logger): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // Until now it ended the process at once.
    process.removeAllListeners(signal);
    process.on(signal, () => {
      if (stopping) {
        log.warn(`${signal} again: exits at once`);
        process.exit(1);
      }
      stopping = true;
      log.info(`${signal}: finishes what runs and stops`);
      void stop(signal).then(() => process.exit(0));
    });
  }
}

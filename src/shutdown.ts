import type { Logger } from 'pino';

/** What has been opened and must be released, last opened first. */
export interface Releases {
  push(name: string, release: () => Promise<void> | void): void;
  /** Releases everything, in reverse order; one that fails is logged and skips none of the others. */
  run(): Promise<void>;
}

export function createReleases(log: Logger): Releases {
  const stack: { name: string; release: () => Promise<void> | void }[] = [];
  return {
    push(name, release) {
      stack.push({ name, release });
    },
    async run() {
      for (let last = stack.pop(); last !== undefined; last = stack.pop()) {
        try {
          await last.release();
        } catch (error) {
          log.error({ err: error }, `could not stop ${last.name} cleanly`);
        }
      }
    },
  };
}

/** SIGTERM or SIGINT: drains and exits 0. A second one exits at once. */
export function stopOnSignal(stop: () => Promise<void>, log: Logger): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) {
        log.warn(`${signal} again: exits at once`);
        process.exit(1);
      }
      stopping = true;
      log.info(`${signal}: finishes what runs and stops`);
      void stop().then(() => process.exit(0));
    });
  }
}

import type { Logger } from 'pino';
import type { Claim } from '../domain/transitions.ts';
import { storeProgress } from '../store/progress.ts';
import type { Sql } from '../store/sql.ts';

/** Writes a run's progress at most this often; the last value always gets there. */
const INTERVAL_MS = 500;

export interface ProgressReporter {
  report(fraction: number, message?: string): void;
  /** Writes what is still waiting, and nothing after that. */
  stop(): Promise<void>;
}

export function createProgressReporter(options: {
  sql: Sql;
  claim: Claim;
  log: Logger;
}): ProgressReporter {
  const { sql, claim, log } = options;
  let waiting: { fraction: number; message: string | null } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();
  let stopped = false;

  function flush() {
    timer = undefined;
    const progress = waiting;
    if (progress === undefined) return;
    waiting = undefined;
    if (!stopped) timer = setTimeout(flush, INTERVAL_MS);
    writing = writing.then(() =>
      storeProgress(sql, claim, progress).catch((error: unknown) => {
        log.debug({ err: error }, 'could not store the progress');
      }),
    );
  }

  return {
    report(fraction, message) {
      if (stopped || Number.isNaN(fraction)) return;
      waiting = { fraction: Math.min(1, Math.max(0, fraction)), message: message ?? null };
      if (timer === undefined) flush();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      flush();
      await writing;
    },
  };
}

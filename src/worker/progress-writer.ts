import type { Logger } from 'pino';
import type { Broker } from '../broker/broker.ts';
import { storableText } from '../domain/json.ts';
import type { Claim } from '../domain/transitions.ts';
import { type ProgressReport, storeProgress } from '../store/progress.ts';
import type { Sql } from '../store/sql.ts';

/**
 * Stores the progress of all runs of a worker, and announces what was stored.
 *
 * One statement takes the latest report of every run that has a new one. The first report after a quiet time goes out at
 * once, then there is at most one statement per `INTERVAL_MS` and one at a time. Only the last report of a run that ends
 * does not wait for the interval, since its settlement waits for the report.
 */
export interface ProgressWriter {
  open(claim: Claim): ProgressReporter;
}

/** One run's way to tell how far it is. */
export interface ProgressReporter {
  /** Replaces what is not written yet. @param fraction 0 to 1; what lies outside is moved to the nearer end */
  report(fraction: number, message?: string): void;
  /** Writes what is still waiting, and nothing after that. Never throws. */
  stop(): Promise<void>;
}

export function createProgressWriter(options: {
  sql: Sql;
  broker: Pick<Broker, 'publishProgress'>;
  log: Logger;
}): ProgressWriter {
  const { sql, broker, log } = options;
  /** The latest report of each run, until a statement takes it. */
  const waiting = new Map<Claim, ProgressReport>();
  /** The runs that end. */
  const ending = new Set<Claim>();
  /** Runs from a statement on; while it does, only the reports of runs that end are due. */
  let interval: NodeJS.Timeout | undefined;
  let writing: { reports: readonly ProgressReport[]; done: Promise<void> } | undefined;

  function writeWhatIsDue() {
    if (writing !== undefined) return;
    const reports = takeDue();
    if (reports.length === 0) return;
    interval ??= setTimeout(() => {
      interval = undefined;
      writeWhatIsDue();
    }, INTERVAL_MS);
    const done = write(reports).then(() => {
      writing = undefined;
      writeWhatIsDue();
    });
    writing = { reports, done };
  }

  function takeDue(): ProgressReport[] {
    const due = [...waiting.values()].filter(
      ({ claim }) => interval === undefined || ending.has(claim),
    );
    for (const { claim } of due) waiting.delete(claim);
    return due;
  }

  async function write(reports: readonly ProgressReport[]): Promise<void> {
    const mayTryAgain = reports.filter(({ claim }) => !ending.has(claim));
    try {
      broker.publishProgress(await storeProgress(sql, reports));
    } catch (error) {
      log.debug({ err: error, runs: reports.length }, 'could not store the progress');
      for (const report of mayTryAgain) {
        if (!waiting.has(report.claim)) waiting.set(report.claim, report);
      }
    }
  }

  /** What has to be over before a run's last report is stored, or has had its last try. */
  function unwritten(claim: Claim): Promise<void> | undefined {
    const isConcerned =
      waiting.has(claim) || writing?.reports.some((report) => report.claim === claim);
    return isConcerned ? writing?.done : undefined;
  }

  return {
    open(claim) {
      let stopped = false;
      return {
        report(fraction, message) {
          const progress = Math.min(1, Math.max(0, fraction));
          if (stopped || Number.isNaN(progress)) return;
          // On the next turn: reports that are made in the same one belong together. If others wait already, whatever
          // they wait for takes this one along.
          if (waiting.size === 0) setImmediate(writeWhatIsDue);
          waiting.set(claim, { claim, progress, message: storableMessage(message) });
        },
        async stop() {
          stopped = true;
          ending.add(claim);
          writeWhatIsDue();
          for (let end = unwritten(claim); end !== undefined; end = unwritten(claim)) await end;
          ending.delete(claim);
        },
      };
    },
  };
}

/** With the last report of a run, which does not wait, a second brings five of a task at most. */
const INTERVAL_MS = 250;
const MAX_MESSAGE = 10_000;

/** A message that PostgreSQL refused would keep the reports of all other runs from being stored. */
function storableMessage(message: string | undefined): string | null {
  return message === undefined ? null : storableText(message, MAX_MESSAGE);
}

import type { Logger } from 'pino';
import type { Runs } from './runs.ts';

const LOOK_EVERY_MS = 100;
/** What a cancellation may take to reach a handler. */
const TOO_LONG_MS = 500;
/** A handler that does it once does it again. */
const SAY_AT_MOST_EVERY_MS = 30_000;

/**
 * Says when nothing else could run in this process for a while: a handler that computes without a pause keeps
 * heartbeats, cancellations and all other tasks of its worker waiting. @returns the way to stop it
 */
export function watchEventLoop({ runs, log }: { runs: Runs; log: Logger }): () => void {
  let lookedAt = performance.now();
  let saidAt = Number.NEGATIVE_INFINITY;

  function look(): void {
    const now = performance.now();
    const lagMs = Math.round(now - lookedAt - LOOK_EVERY_MS);
    lookedAt = now;
    if (lagMs < TOO_LONG_MS || now - saidAt < SAY_AT_MOST_EVERY_MS) return;
    saidAt = now;
    // A timer is the first to run when the loop goes on, so who held it up is most likely still there.
    const types = [...new Set(runs.all().map(({ task }) => task.type))];
    log.warn(
      { lagMs, types },
      'the event loop was held up: heartbeats and cancellations waited. A handler of one of these types may compute without a pause; move such work to a worker thread',
    );
  }

  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

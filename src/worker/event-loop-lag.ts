import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Runs } from './runs.ts';

const RESOLUTION_MS = 50;
const LOOK_EVERY_MS = 1_000;
/** What a cancellation may take to reach a handler. */
const TOO_LONG_MS = 500;
/** A handler that does it once does it again. */
const SAY_AT_MOST_EVERY_MS = 30_000;

/**
 * Says when nothing else could run in this process for a while: a handler that computes without a pause keeps
 * heartbeats, cancellations and all other tasks of its worker waiting. @returns the way to stop it
 */
export function watchEventLoop({ runs, log }: { runs: Runs; log: Logger }): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let saidAt = Number.NEGATIVE_INFINITY;

  // Late itself by then, so it looks right after the hold-up, while who caused it is most likely still there.
  const timer = setInterval(() => {
    const lagMs = Math.round(delay.max / 1_000_000);
    delay.reset();
    if (lagMs < TOO_LONG_MS || performance.now() - saidAt < SAY_AT_MOST_EVERY_MS) return;
    saidAt = performance.now();
    const types = [...new Set(runs.all().map(({ task }) => task.type))];
    log.warn(
      { lagMs, types },
      'the event loop was held up: heartbeats and cancellations waited. A handler of one of these types may compute without a pause; move such work to a worker thread',
    );
  }, LOOK_EVERY_MS);
  timer.unref();

  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

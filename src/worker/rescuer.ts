import type { Logger } from 'pino';
import { afterWorkerDeath } from '../domain/retry-policy.ts';
import type { Sql } from '../store/sql.ts';
import { buryDeadWorkers, findOrphans } from '../store/workers.ts';
import type { Advance } from '../tasks/advance.ts';
import { type Loop, startLoop } from './loop.ts';

const INTERVAL_MS = 1_000;
const BATCH = 500;
/** Silence after which a worker is dead, whatever else speaks for it: it may be stopped, or stuck. */
const SILENT_MS = 15_000;
/** Silence after which a worker is dead whose database session is gone as well, as it is after a crash. */
const CUT_OFF_MS = 2_500;

/**
 * Declares silent workers dead and gives their tasks to others.
 *
 * @param options.steadyForMs how long this worker's own heartbeats have been getting through. After an outage of the
 *   database every worker looks silent; whoever judges others must have been heard for as long as it lets them be silent.
 * @param options.onRescued called when tasks have become due again
 */
export function startRescuer(options: {
  sql: Sql;
  advance: Advance;
  workerId: () => string | undefined;
  steadyForMs: () => number;
  onRescued: () => void;
  log: Logger;
}): Loop {
  const { sql, advance, workerId, steadyForMs, onRescued, log } = options;

  async function step(): Promise<number> {
    const steadyMs = steadyForMs();
    const judge = workerId();
    if (judge === undefined || steadyMs < CUT_OFF_MS) return INTERVAL_MS;
    const silentMs = steadyMs < SILENT_MS ? null : SILENT_MS;
    for (const worker of await buryDeadWorkers(sql, judge, { silentMs, cutOffMs: CUT_OFF_MS })) {
      log.warn({ worker }, 'declared a silent worker dead');
    }
    const orphans = await findOrphans(sql, BATCH);
    if (orphans.length === 0) return INTERVAL_MS;
    await advance(orphans.map(afterWorkerDeath));
    log.warn({ tasks: orphans.length }, 'took tasks back from dead workers');
    onRescued();
    return orphans.length === BATCH ? 0 : INTERVAL_MS;
  }

  return startLoop({ name: 'rescuer', step, log });
}

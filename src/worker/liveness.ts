import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import type { Claim } from '../domain/transitions.ts';
import type { Sql } from '../store/sql.ts';
import { openWorkerSession, type WorkerSession } from '../store/worker-session.ts';
import { beat, registerWorker, retireWorker } from '../store/workers.ts';
import { startLoop } from './loop.ts';
import type { Runs } from './runs.ts';

/** A worker's life as the others see it: one row, one heartbeat a second, one database session. */
export interface Liveness {
  /** Resolves when the worker has its first identity; rejects when that is given up. */
  readonly born: Promise<void>;
  /** Stop hoping for a first identity. */
  giveUpBirth(): void;
  /** The identity under which to claim; undefined while the worker has none. */
  workerId(): string | undefined;
  /** How long heartbeats have been getting through without a break. */
  steadyForMs(): number;
  /** Beat now: finds out which runs are lost. */
  beatNow(): void;
  /** Ends the worker's life properly. It must hold no claims any more. */
  stop(): Promise<void>;
}

const BEAT_MS = 1_000;

/**
 * Announces the worker and keeps it alive. When the worker finds itself declared dead (it was stopped, or cut off for
 * too long), everything it runs is lost: it aborts that and goes on under a new identity.
 */
export function startLiveness(options: {
  sql: Sql;
  databaseUrl: string;
  runs: Runs;
  /** What to do with tasks that this worker holds without knowing. */
  giveBack: (strays: readonly Claim[]) => Promise<void>;
  log: Logger;
}): Liveness {
  const { sql, databaseUrl, runs, giveBack, log } = options;
  let identity: { id: string; session: WorkerSession } | undefined;
  let steadySince: number | undefined;
  const birth = Promise.withResolvers<void>();

  async function step(): Promise<number> {
    try {
      if (identity === undefined) await beBorn();
      else await stayAlive(identity.id);
      steadySince ??= performance.now();
      return BEAT_MS;
    } catch (error) {
      steadySince = undefined;
      throw error;
    }
  }

  async function beBorn() {
    const id = uuidv7();
    const { lockKey } = await registerWorker(sql, { id, hostname: hostname(), pid: process.pid });
    identity = { id, session: openWorkerSession({ url: databaseUrl, lockKey, log }) };
    log.info({ workerId: id }, 'worker registered');
    birth.resolve();
  }

  async function stayAlive(id: string) {
    const held = runs.all();
    const { alive, lost, stray } = await beat(sql, id, held);
    if (alive) {
      for (const run of held) if (lost.includes(run.taskId)) run.abort('LOST');
      const strays = stray.filter(({ taskId }) => runs.get(taskId) === undefined);
      if (strays.length > 0) await giveBack(strays);
      return;
    }
    log.error({ workerId: id, runs: held.length }, 'was declared dead; aborts what it runs');
    for (const run of held) run.abort('LOST');
    // Not a moment longer under this name: what it claims now would be taken away again.
    const dead = identity;
    identity = undefined;
    void dead?.session.close();
    await beBorn();
  }

  const loop = startLoop({ name: 'heartbeat', step, log });
  return {
    born: birth.promise,
    giveUpBirth: () =>
      birth.reject(new Error('The worker stopped before it could announce itself.')),
    workerId: () => identity?.id,
    steadyForMs: () => (steadySince === undefined ? 0 : performance.now() - steadySince),
    beatNow: loop.wake,
    async stop() {
      await loop.stop();
      if (identity === undefined) return;
      await retireWorker(sql, identity.id).catch((error: unknown) => {
        log.warn({ err: error }, 'could not retire; the others will notice');
      });
      await identity.session.close();
    },
  };
}

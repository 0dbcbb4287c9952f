import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import type { Claim } from '../domain/transitions.ts';
import type { Sql } from '../store/sql.ts';
import { openWorkerSession, type WorkerSession } from '../store/worker-session.ts';
import { beat, findHeld, findLost, registerWorker, retireWorker } from '../store/workers.ts';
import { startLoop } from './loop.ts';
import type { Runs } from './runs.ts';

/** A worker's life as the others see it: one row, one heartbeat a second, one database session. */
export interface Liveness {
  /** Resolves when the worker has its first identity; rejects when that is given up. */
  readonly born: Promise<void>;
  /** Stop hoping for a first identity. */
  giveUpBirth(): void;
  /** The identity under which to claim; undefined while the worker has none, or none that is sure to be alive. */
  workerId(): string | undefined;
  /** How long the database has been answering without a break; a break is also when this process was stopped. */
  steadyForMs(): number;
  /** Find out now which runs are lost. */
  lookNow(): void;
  /** Ends the worker's life properly, and gives back what it may still hold. */
  stop(): Promise<void>;
}

const BEAT_MS = 1_000;
/** How often a worker looks whether it still holds what it runs, besides being told by RabbitMQ, which may be away. */
const LOOK_MS = 250;
/** No answer for this long is a break, whatever caused it. */
const BREAK_MS = 2_500;

/**
 * Announces the worker and keeps it alive. When the worker finds itself declared dead (it was stopped, or cut off for
 * too long), everything it runs is lost: it aborts that and goes on under a new identity.
 */
export function startLiveness(options: {
  sql: Sql;
  databaseUrl: string;
  runs: Runs;
  /** What to do with tasks that this worker holds and nothing here runs. */
  giveBack: (strays: readonly Claim[]) => Promise<void>;
  log: Logger;
}): Liveness {
  const { sql, databaseUrl, runs, giveBack, log } = options;
  let identity: { id: string; session: WorkerSession } | undefined;
  let steadySince: number | undefined;
  /** When it was sure to be alive for the others last, by both clocks: a machine that sleeps stops one of them. */
  let lastBeat = { at: Number.NEGATIVE_INFINITY, onTheWall: 0 };
  let lastAnswerAt = 0;
  const birth = Promise.withResolvers<void>();

  async function step(): Promise<number> {
    // Sooner rather than later, by half a look at most.
    const isDue = performance.now() - lastBeat.at >= BEAT_MS - LOOK_MS / 2;
    // By the clock on the wall, which goes on while a machine sleeps.
    if (Date.now() - lastAnswerAt > BREAK_MS) steadySince = undefined;
    try {
      if (identity === undefined) await beBorn();
      else if (isDue) await stayAlive(identity.id);
      else await look();
      steadySince ??= performance.now();
      lastAnswerAt = Date.now();
      return LOOK_MS;
    } catch (error) {
      steadySince = undefined;
      throw error;
    }
  }

  async function beBorn() {
    const id = uuidv7();
    const bornAt = now();
    const { lockKey } = await registerWorker(sql, { id, hostname: hostname(), pid: process.pid });
    identity = { id, session: openWorkerSession({ url: databaseUrl, lockKey, log }) };
    lastBeat = bornAt;
    log.info({ workerId: id }, 'worker registered');
    birth.resolve();
  }

  async function look() {
    const held = runs.all();
    if (held.length === 0) return;
    for (const { taskId, status } of await findLost(sql, held)) {
      const run = held.find((one) => one.taskId === taskId);
      run?.abort(status === 'CANCELLED' ? 'CANCELLED' : 'LOST');
    }
  }

  async function stayAlive(id: string) {
    const held = runs.all();
    const beatAt = now();
    const known = held.map(({ taskId }) => taskId);
    const { alive, stray } = await beat(sql, id, known);
    lastBeat = beatAt;
    if (alive) {
      await look();
      const strays = stray.filter(({ taskId }) => runs.get(taskId) === undefined);
      if (strays.length > 0) await giveBack(strays);
      return;
    }
    log.error({ workerId: id, runs: held.length }, 'was declared dead; aborts what it runs');
    for (const run of runs.all()) run.abort('LOST');
    // Not a moment longer under this name: what it claims now would be taken away again.
    const dead = identity;
    identity = undefined;
    void dead?.session.close();
    await beBorn();
  }

  /** Who has not been heard of may have been declared dead: what it claimed would be taken away again. */
  function isHeard(): boolean {
    const { at, onTheWall } = lastBeat;
    return performance.now() - at < BREAK_MS && Date.now() - onTheWall < BREAK_MS;
  }

  const loop = startLoop({ name: 'heartbeat', step, retryMs: LOOK_MS, log });
  return {
    born: birth.promise,
    giveUpBirth: () =>
      birth.reject(new Error('The worker stopped before it could announce itself.')),
    workerId: () => (isHeard() ? identity?.id : undefined),
    steadyForMs: () => (steadySince === undefined ? 0 : performance.now() - steadySince),
    lookNow: loop.wake,
    async stop() {
      await loop.stop();
      if (identity === undefined) return;
      try {
        // What could not be settled, or was claimed without the answer getting here.
        const held = await findHeld(sql, identity.id);
        if (held.length > 0) await giveBack(held);
        await retireWorker(sql, identity.id);
      } catch (error) {
        log.warn({ err: error }, 'could not retire; the others will notice');
      }
      await identity.session.close();
    },
  };
}

function now() {
  return { at: performance.now(), onTheWall: Date.now() };
}

import type { Logger } from 'pino';
import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import { TASK_PRIORITIES, type TaskChange, type TaskPriority } from '../domain/task.ts';
import { enqueue } from '../domain/transitions.ts';
import { applyTransitions } from '../store/apply-transitions.ts';
import type { Database } from '../store/database.ts';
import {
  lastQueuedOfRunning,
  lockDueTasks,
  msUntilNextDue,
  touchStalePending,
} from '../store/due-tasks.ts';
import { happened } from '../tasks/advance.ts';
import { type Loop, startLoop } from './loop.ts';

const BATCH = 500;
/** Longest wait between two looks at the database. */
const POLL_MS = 500;
/** When to look again for what is due but held by another dispatcher, which mostly is about to send it. */
const HELD_POLL_MS = 20;
/** How often a message that is gone is looked for. */
const RESEND_EVERY_MS = 5_000;
/** At most so many of each priority at a time: what is due waits meanwhile. */
const MAX_RESENT = 10_000;
/** How old a PENDING task must be to be suspected: when its queue is empty, and when it is not. */
const RESEND_AFTER_MS = 10_000;
const RESEND_OVERTAKEN_AFTER_MS = 60_000;
/**
 * How much later than a task another must have been queued to have overtaken it for certain. A transaction takes its
 * time first and hands its messages over later, within the time that it may last.
 */
const OVERTAKEN_BY_MS = 10_000;

/**
 * Sends what is due. The NEW rows are the outbox: a task that RabbitMQ did not confirm, one whose `runAt` has come and
 * one that is retried are the same to it. Any number of dispatchers may run; each takes rows that no other holds.
 */
export function startDispatcher(options: {
  database: Database;
  broker: Broker;
  log: Logger;
}): Loop {
  const { database, broker, log } = options;
  const resendLost = createResender({ database, broker, log });
  let lastResend = performance.now();

  async function step(): Promise<number> {
    if (!broker.ready) return POLL_MS;
    try {
      return await dispatch();
    } catch (error) {
      if (!(error instanceof BrokerUnavailable)) throw error;
      // Whoever keeps the connection says that it is gone, and wakes this loop when it is back.
      log.debug({ err: error }, 'dispatcher: the broker takes nothing now');
      return POLL_MS;
    }
  }

  async function dispatch(): Promise<number> {
    const sent = await dispatchDue({ database, broker });
    // However much there is to send: a task whose message was lost must not wait for the last of it.
    if (performance.now() - lastResend > RESEND_EVERY_MS) {
      lastResend = performance.now();
      await resendLost();
    }
    if (sent === BATCH) return 0;
    const nextMs = (await msUntilNextDue(database)) ?? POLL_MS;
    if (sent === 0 && nextMs === 0) return HELD_POLL_MS;
    return Math.min(POLL_MS, nextMs);
  }

  const loop = startLoop({ name: 'dispatcher', step, log });
  const unlisten = broker.onReady(loop.wake);
  return {
    wake: loop.wake,
    stop() {
      unlisten();
      return loop.stop();
    },
  };
}

/**
 * NEW → PENDING for one batch. The rows stay locked until their messages are confirmed and the change is committed, so
 * a worker that is quicker waits for the lock and then finds them PENDING.
 */
async function dispatchDue(options: { database: Database; broker: Broker }): Promise<number> {
  const { database, broker } = options;
  const changes = await database.transaction<TaskChange[]>(async (tx) => {
    const due = await lockDueTasks(tx, BATCH);
    if (due.length === 0) return [];
    await broker.publishTasks(due);
    return happened(
      await applyTransitions(
        tx,
        due.map(({ id }) => enqueue(id)),
      ),
    );
  });
  broker.publishEvents(changes);
  return changes.length;
}

/**
 * Sends PENDING tasks again whose message is gone. Either their queue is empty, and yet they have been waiting for
 * some time; or a task that was queued clearly later has been started: queues are first in, first out, so their message
 * would have come before. It may also be in the hands of a worker that was stopped; a message too many does no harm,
 * since only one claim succeeds.
 */
function createResender(options: { database: Database; broker: Broker; log: Logger }) {
  const { database, broker, log } = options;
  /** The latest that was seen. What has been delivered once stays delivered, so it holds for good. */
  const lastStarted = new Map<TaskPriority, Date>();

  async function lookAtRunning(): Promise<void> {
    for (const { priority, queuedAt } of await lastQueuedOfRunning(database)) {
      const known = lastStarted.get(priority);
      if (known === undefined || known < queuedAt) lastStarted.set(priority, queuedAt);
    }
  }

  async function suspects(priority: TaskPriority) {
    if ((await broker.queueDepth(priority)) === 0) return { olderThanMs: RESEND_AFTER_MS };
    const last = lastStarted.get(priority);
    if (last === undefined) return undefined;
    const queuedBefore = new Date(last.getTime() - OVERTAKEN_BY_MS);
    return { olderThanMs: RESEND_OVERTAKEN_AFTER_MS, queuedBefore };
  }

  return async function resendLost(): Promise<void> {
    await lookAtRunning();
    for (const priority of TASK_PRIORITIES) {
      const which = await suspects(priority);
      if (which === undefined) continue;
      let resent = 0;
      try {
        for (let sent = BATCH; sent === BATCH && resent < MAX_RESENT; resent += sent) {
          sent = await resendBatch({ priority, ...which, limit: BATCH });
        }
      } finally {
        if (resent > 0)
          log.warn({ priority, tasks: resent }, 'sent tasks again whose message was lost');
      }
    }
  };

  function resendBatch(which: Parameters<typeof touchStalePending>[1]): Promise<number> {
    return database.transaction(async (tx) => {
      const stale = await touchStalePending(tx, which);
      if (stale.length > 0) await broker.publishTasks(stale);
      return stale.length;
    });
  }
}

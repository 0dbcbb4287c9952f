import type { Logger } from 'pino';
import type { Broker } from '../broker/broker.ts';
import { TASK_PRIORITIES, type TaskChange } from '../domain/task.ts';
import { enqueue } from '../domain/transitions.ts';
import { applyTransitions } from '../store/apply-transitions.ts';
import type { Database } from '../store/database.ts';
import { lockDueTasks, msUntilNextDue, touchStalePending } from '../store/due-tasks.ts';
import { happened } from '../tasks/advance.ts';
import { type Loop, startLoop } from './loop.ts';

const BATCH = 500;
/** Longest wait between two looks at the database. */
const POLL_MS = 500;
/** How often a message that is gone is looked for, and how old a PENDING task must be to be suspected. */
const RESEND_EVERY_MS = 5_000;
const RESEND_AFTER_MS = 10_000;

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
  let lastResend = performance.now();

  async function step(): Promise<number> {
    if (!broker.ready) return POLL_MS;
    const sent = await dispatchDue({ database, broker });
    if (sent === BATCH) return 0;
    if (performance.now() - lastResend > RESEND_EVERY_MS) {
      lastResend = performance.now();
      await resendLost({ database, broker, log });
    }
    return Math.min(POLL_MS, (await msUntilNextDue(database)) ?? POLL_MS);
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
 * Sends PENDING tasks again whose message is gone: their queue is empty, and yet they have been waiting for long. A
 * message too many does no harm, since only one claim succeeds.
 */
async function resendLost(options: {
  database: Database;
  broker: Broker;
  log: Logger;
}): Promise<void> {
  const { database, broker, log } = options;
  for (const priority of TASK_PRIORITIES) {
    if ((await broker.queueDepth(priority)) > 0) continue;
    const resent = await database.transaction(async (tx) => {
      const stale = await touchStalePending(tx, {
        priority,
        olderThanMs: RESEND_AFTER_MS,
        limit: BATCH,
      });
      if (stale.length > 0) await broker.publishTasks(stale);
      return stale.length;
    });
    if (resent > 0)
      log.warn({ priority, tasks: resent }, 'sent tasks again whose message was lost');
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TaskDelivery } from '../broker/broker.ts';
import { afterFailure, DEFAULT_RETRY_POLICY } from '../domain/retry-policy.ts';
import type { Task } from '../domain/task.ts';
import { claim, complete, release, type Transition } from '../domain/transitions.ts';
import type { Sql } from '../store/database.ts';
import { taskStatus } from '../store/task-queries.ts';
import type { Advance } from '../tasks/advance.ts';
import type { TaskHandlers } from './handler.ts';
import { createProgressReporter } from './progress-reporter.ts';
import { type RunResult, runHandler } from './run-handler.ts';
import { createRun, type Run, type Runs } from './runs.ts';

/**
 * One delivery from the queue to its end: claim → run → settle → acknowledge.
 *
 * The message only says where to look. Whatever goes wrong on the way, the row decides: a claim that fails means that
 * someone else has the task or nobody needs it; a settlement that fails means that the claim was lost meanwhile.
 */
export function createExecutor(options: {
  sql: Sql;
  advance: Advance;
  handlers: TaskHandlers;
  runs: Runs;
  workerId: () => string | undefined;
  onDueAgain: () => void;
  random: () => number;
  log: Logger;
}): (delivery: TaskDelivery) => Promise<void> {
  const { sql, advance, handlers, runs, workerId, onDueAgain, random, log } = options;

  return async function execute(delivery) {
    const task = await claimTask(delivery);
    if (task === undefined) return;
    const run = createRun(task);
    runs.add(run);
    try {
      const result = await runTask(run);
      const transition = settlement(run, result);
      if (transition !== undefined) await settle(transition, run);
    } finally {
      runs.remove(run);
      delivery.ack();
    }
  };

  /** The claimed task; undefined when this delivery is dealt with. */
  async function claimTask(delivery: TaskDelivery): Promise<Task | undefined> {
    const { id } = delivery.message;
    try {
      for (const waitMs of ROW_WAITS_MS) {
        const worker = workerId();
        if (worker === undefined) throw new Error('This worker has no identity yet.');
        const [change] = await advance([claim(id, worker)]);
        if (change !== undefined) return change.task;
        // The message may be quicker than the commit of the row it is about. A row that is there and still waits was
        // committed between the claim and this look.
        const status = await taskStatus(sql, id);
        if (status !== undefined && status !== 'PENDING') break;
        await sleep(waitMs);
      }
      delivery.ack();
    } catch (error) {
      log.debug({ err: error, taskId: id }, 'could not claim; gives the message back');
      await sleep(REQUEUE_DELAY_MS);
      delivery.requeue();
    }
    return undefined;
  }

  async function runTask(run: Run): Promise<RunResult> {
    const { task } = run;
    const runLog = log.child({ taskId: task.id, type: task.type, attempt: task.attempt });
    const reporter = createProgressReporter({ sql, claim: run, log: runLog });
    try {
      const handler = Object.hasOwn(handlers, task.type) ? handlers[task.type] : undefined;
      return await runHandler(run, handler, { progress: reporter.report, log: runLog });
    } finally {
      await reporter.stop();
    }
  }

  function settlement(run: Run, result: RunResult): Transition | undefined {
    switch (result.kind) {
      case 'RETURNED':
        return complete(run, result.result);
      case 'ABANDONED':
        return run.abortReason() === 'SHUTDOWN' ? release(run) : undefined;
      case 'FAILED': {
        const { attempt, maxAttempts, type } = run.task;
        const policy = handlers[type]?.retry ?? DEFAULT_RETRY_POLICY;
        const { failure, retryable } = result;
        const attempted = { taskId: run.taskId, version: run.version, attempt, maxAttempts };
        return afterFailure(attempted, failure, { policy, random: random(), retryable });
      }
    }
  }

  /** Keeps trying while the database is away: the outcome is known, and must not be lost for want of a connection. */
  async function settle(transition: Transition, run: Run): Promise<void> {
    for (;;) {
      try {
        const [change] = await advance([transition]);
        if (change === undefined) log.info({ taskId: run.taskId }, 'the claim was lost meanwhile');
        else if (change.event.status === 'NEW') onDueAgain();
        return;
      } catch (error) {
        if (run.abortReason() === 'LOST') return;
        log.warn({ err: error, taskId: run.taskId }, 'could not settle, will try again');
        await sleep(SETTLE_RETRY_MS);
      }
    }
  }
}

/** Waits for the row of a message to appear, about 3 s in all. */
const ROW_WAITS_MS = [5, 10, 20, 50, 100, 200, 500, 1_000, 1_000];
const REQUEUE_DELAY_MS = 500;
const SETTLE_RETRY_MS = 500;

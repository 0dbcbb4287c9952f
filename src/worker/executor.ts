import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TaskDelivery } from '../broker/broker.ts';
import {
  afterFailure,
  afterUnknownType,
  DEFAULT_RETRY_POLICY,
  withTaskRetry,
} from '../domain/retry-policy.ts';
import type { Task } from '../domain/task.ts';
import { complete, decline, fail, release, type Transition } from '../domain/transitions.ts';
import { noHandlerFor, SHUT_DOWN_BEFORE } from '../domain/unseen-reasons.ts';
import { isRefusedForGood } from '../store/database-errors.ts';
import type { AdvanceOne } from '../tasks/advance-one.ts';
import { claimTask } from './claim-task.ts';
import type { TaskHandlers } from './handler.ts';
import type { ProgressWriter } from './progress-writer.ts';
import { type RunResult, runHandler } from './run-handler.ts';
import { createRun, type Run, type Runs } from './runs.ts';

/**
 * One delivery from the queue to its end: claim → run → settle → acknowledge.
 *
 * The message only says where to look. Whatever goes wrong on the way, the row decides: a claim that fails means that
 * someone else has the task or nobody needs it; a settlement that fails means that the claim was lost meanwhile.
 */
export function createExecutor(options: {
  advance: AdvanceOne;
  handlers: TaskHandlers;
  runs: Runs;
  progress: ProgressWriter;
  workerId: () => string | undefined;
  /** How often a task was given back for this reason, since a client last retried it. */
  timesGivenBack: (taskId: string, reason: string) => Promise<number>;
  onDueAgain: () => void;
  random: () => number;
  log: Logger;
}): (delivery: TaskDelivery) => Promise<void> {
  const { advance, handlers, runs, progress, workerId, timesGivenBack, onDueAgain, random, log } =
    options;

  return async function execute(delivery) {
    const task = await claimOrGiveBack(delivery);
    if (task !== undefined) await runAndSettle(task, delivery);
  };

  /** The claimed task; undefined when this delivery is dealt with. */
  async function claimOrGiveBack(delivery: TaskDelivery): Promise<Task | undefined> {
    try {
      const givesUp = () => runs.shuttingDown();
      const task = await claimTask(delivery.message, { advance, workerId, givesUp });
      if (task === undefined) delivery.ack();
      return task;
    } catch (error) {
      const { id } = delivery.message;
      log.debug({ err: error, taskId: id }, 'could not claim; gives the message back');
      await sleep(REQUEUE_DELAY_MS);
      delivery.requeue();
      return undefined;
    }
  }

  async function runAndSettle(task: Task, delivery: TaskDelivery): Promise<void> {
    const run = createRun(task);
    runs.add(run);
    // RabbitMQ closes the channel of who keeps a message for too long. From the claim on it is the worker's heartbeat
    // that keeps the task from being lost.
    const early = setTimeout(() => delivery.ackEarly(), EARLY_ACK_MS);
    try {
      const result = await runTask(run);
      const transition = await settlement(run, result);
      if (transition !== undefined) await settle(transition, run);
      else if (run.abortReason() === 'LOST') logLost(run);
    } finally {
      clearTimeout(early);
      runs.remove(run);
      delivery.ack();
    }
  }

  function logLost({ taskId }: Run) {
    log.info({ taskId }, 'the claim was lost meanwhile');
  }

  async function runTask(run: Run): Promise<RunResult> {
    const { task } = run;
    const runLog = log.child({ taskId: task.id, type: task.type, attempt: task.attempt });
    const reporter = progress.open(run);
    try {
      const handler = Object.hasOwn(handlers, task.type) ? handlers[task.type] : undefined;
      return await runHandler(run, handler, { progress: reporter.report, log: runLog });
    } finally {
      await reporter.stop();
    }
  }

  async function settlement(run: Run, result: RunResult): Promise<Transition | undefined> {
    switch (result.kind) {
      case 'RETURNED':
        return complete(run, result.result);
      case 'UNKNOWN': {
        const { id, type, attempt } = run.task;
        log.warn({ taskId: id, type }, 'has no handler for this type');
        // While the database does not tell: as if it were the first time, to come back soon.
        const before = await timesGivenBack(id, noHandlerFor(type)).catch((err: unknown) => {
          log.warn({ err, taskId: id }, 'cannot tell how often it was given back');
          return 0;
        });
        return afterUnknownType({ ...run, attempt }, { type, before, random: random() });
      }
      case 'UNSEEN':
        return decline(run, 0, SHUT_DOWN_BEFORE);
      case 'ABANDONED':
        return run.abortReason() === 'SHUTDOWN' ? release(run) : undefined;
      case 'FAILED': {
        const { attempt, maxAttempts, type, retry } = run.task;
        const policy = withTaskRetry(handlers[type]?.retry ?? DEFAULT_RETRY_POLICY, retry);
        const { failure, retryable } = result;
        const attempted = { taskId: run.taskId, version: run.version, attempt, maxAttempts };
        return afterFailure(attempted, failure, { policy, random: random(), retryable });
      }
    }
  }

  /**
   * Keeps trying while the database is away: the outcome is known, and must not be lost for want of a connection. A
   * worker that goes does so for some time as well, and then leaves the task to others. An outcome that the database
   * can never store, while it stores another one, would keep the slot for ever: then the task fails with that.
   */
  async function settle(transition: Transition, run: Run): Promise<void> {
    const { taskId } = run;
    for (let tries = 1, refusals = 0; ; tries += 1) {
      try {
        const { change } = await advance(transition);
        if (change?.event.status === 'NEW') onDueAgain();
        if (change === undefined && tries === 1) logLost(run);
        if (change === undefined && tries > 1) {
          log.info({ taskId }, 'an earlier try has settled it, or the claim was lost meanwhile');
        }
        return;
      } catch (error) {
        const givesUp = runs.outOfTime();
        const what = givesUp ? 'could not settle; others may run it again' : 'could not settle yet';
        log.warn({ err: error, taskId }, what);
        if (givesUp) return;
        if (isRefusedForGood(error)) refusals += 1;
        if (refusals >= MAX_REFUSALS && (await takesInstead(notStored(run)))) return;
        await sleep(SETTLE_RETRY_MS);
      }
    }
  }

  /** Whether the database takes this one at least, now that it has refused another. */
  async function takesInstead(transition: Transition): Promise<boolean> {
    try {
      await advance(transition);
      return true;
    } catch {
      // Then it is not the outcome that is wrong.
      return false;
    }
  }
}

function notStored(run: Run): Transition {
  const message = 'The outcome of the run could not be stored.';
  const error = { name: 'NotStored', message, stack: null, attempt: run.task.attempt };
  return fail(run, { error, outcome: 'FAILED' });
}

/** Well below the shortest consumer timeout that anybody sets. */
const EARLY_ACK_MS = 30_000;
const REQUEUE_DELAY_MS = 500;
const SETTLE_RETRY_MS = 500;
const MAX_REFUSALS = 5;

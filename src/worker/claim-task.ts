import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskMessage } from '../broker/messages.ts';
import type { Task } from '../domain/task.ts';
import { claim, expire } from '../domain/transitions.ts';
import { IDLE_TRANSACTION_TIMEOUT_MS, STATEMENT_TIMEOUT_MS } from '../store/database.ts';
import type { AdvanceOne } from '../tasks/advance-one.ts';

/** A transaction that stored a row this long ago has been committed or is gone. */
const ROW_APPEARS_WITHIN_MS = IDLE_TRANSACTION_TIMEOUT_MS + STATEMENT_TIMEOUT_MS + 500;
const LONGEST_WAIT_MS = 1_000;

/**
 * Claims the task that a message is about.
 *
 * A message may be quicker than the commit of its row; then this waits, for as long as the row may still come. A message
 * whose transaction was rolled back is found out by its age, so that many of them do not hold up a queue.
 *
 * @returns undefined when there is nothing to do: someone else has the task, or it is not due, too late, final or gone
 * @throws when the database is away, or `givesUp` says so while it waits
 */
export async function claimTask(
  message: TaskMessage,
  options: {
    advance: AdvanceOne;
    workerId: () => string | undefined;
    givesUp: () => boolean;
  },
): Promise<Task | undefined> {
  const { advance, workerId, givesUp } = options;
  for (let waitMs = 0; ; waitMs = Math.min(2 * waitMs || 1, LONGEST_WAIT_MS)) {
    // Each time anew: this worker may be declared dead while it waits, and must not claim under its old name.
    const worker = workerId();
    if (worker === undefined) throw new Error('This worker has no identity right now.');
    const outcome = await advance(claim(message.id, worker));
    if (outcome.change !== undefined) return outcome.change.task;
    const { status, now } = outcome.seen;
    // The message of a task whose deadline has passed must not keep a slot waiting.
    if (status === 'PENDING' && (await isExpired(message.id, advance))) return undefined;
    // A row that is there and still waits was committed after the claim, or let go of by whoever held it.
    const worthWaiting = status === undefined ? mayStillCome(message, now) : status === 'PENDING';
    if (!worthWaiting) return undefined;
    if (givesUp()) throw new Error('The worker stops before the row of this message is there.');
    // At first at once: the look has taken as long as most commits do.
    if (waitMs > 0) await sleep(waitMs);
  }
}

async function isExpired(taskId: string, advance: AdvanceOne): Promise<boolean> {
  return (await advance(expire(taskId))).change !== undefined;
}

/** Both times are by the database's clock. */
function mayStillCome({ storedAt }: TaskMessage, now: Date): boolean {
  return storedAt !== undefined && now.getTime() - storedAt < ROW_APPEARS_WITHIN_MS;
}

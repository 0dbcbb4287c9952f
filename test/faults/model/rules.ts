import { inWords, isRetry, type StoredEvent, type StoredTask } from '../../support/histories.ts';
import type { Entry, Order, Tally } from './book.ts';

/** A task with what its order has to do with. */
export interface Deed extends StoredTask {
  title: string;
  result: unknown;
  /** Of each event of its history. */
  reasons: (string | null)[];
}

const EXPIRED = 'Not started by its deadline.';
const MAX_WORKER_DEATHS = 3;

/** What a task's history has in it that nobody asked for, in words. */
export function misdeeds(task: Deed, entry: Entry | undefined): string[] {
  if (entry === undefined) return [`nobody asked for ${inWords(task)}`];
  const { history, reasons } = task;
  const { order, cancels, retries } = entry;
  const expiries = history.filter((_event, index) => reasons[index] === EXPIRED).length;
  const cancelled = history.filter(({ status }) => status === 'CANCELLED').length - expiries;
  return [
    ...(entry.id === undefined || entry.id === task.id ? [] : [`was also told to be ${entry.id}`]),
    ...history.flatMap((event, index) => misdeed(event, history.slice(0, index), order)),
    ...(expiries > 0 && order.ttlSeconds === undefined ? ['expired without a deadline'] : []),
    ...uncounted('cancelled', cancelled, cancels),
    ...uncounted('retried', history.filter(isRetry).length, retries),
    ...(task.result === resultOf(task, order) ? [] : [`has the result ${task.result}`]),
  ].map((what) => `${what}: ${inWords(task)}; ${JSON.stringify(order)}`);
}

function misdeed(event: StoredEvent, before: readonly StoredEvent[], order: Order): string[] {
  const { version, status, attempt, outcome, at } = event;
  const { maxAttempts, payload, timeoutSeconds, runAt } = order;
  const retries = before.filter(isRetry).length;
  const budget = maxAttempts * (1 + retries);
  // Whoever retries a task wants it to run now, whenever it was to run at first.
  const isEarly = retries === 0 && runAt !== undefined && Date.parse(at) < Date.parse(runAt);
  const isAgain = status === 'NEW' && (outcome === 'FAILED' || outcome === 'TIMED_OUT');
  return [
    ...(status === 'IN_PROGRESS' && attempt > budget ? ['ran too often'] : []),
    ...(status === 'IN_PROGRESS' && isEarly ? ['ran too early'] : []),
    ...(status === 'FAILED' && attempt < budget && !isPoison([...before, event])
      ? ['failed with attempts left']
      : []),
    ...(isAgain && attempt >= budget ? ['goes on without attempts left'] : []),
    ...(outcome === 'COMPLETED' && attempt <= payload.failAttempts ? ['did not fail'] : []),
    ...(outcome === 'FAILED' && attempt > payload.failAttempts ? ['failed by itself'] : []),
    ...(outcome === 'TIMED_OUT' && timeoutSeconds === undefined ? ['had no time limit'] : []),
  ].map((what) => `${what} in version ${version}`);
}

/** Since it was created or last retried too many workers have died under it. */
function isPoison(history: readonly StoredEvent[]): boolean {
  const round = history.slice(history.findLastIndex(isRetry) + 1);
  return round.filter(({ outcome }) => outcome === 'WORKER_DIED').length >= MAX_WORKER_DEATHS;
}

function uncounted(what: string, happened: number, { asked, granted }: Tally): string[] {
  return happened >= granted && happened <= asked
    ? []
    : [`was ${what} ${happened} times, asked for ${asked}, acknowledged ${granted}`];
}

function resultOf({ status, title }: Deed, { payload }: Order): string | null {
  return status === 'COMPLETED'
    ? `Simulated "${title}" for ${payload.durationMs / 1_000} s.`
    : null;
}

import type { TaskPriority, TaskStatus } from '../../../src/domain/task.ts';
import type { StoredEvent } from '../../support/histories.ts';

/** A task as a client asks for it, by GraphQL's names. Its title is its own, so that it can be told without an id. */
export interface Order {
  title: string;
  priority: TaskPriority;
  payload: { durationMs: number; failAttempts: number };
  maxAttempts: number;
  retry: { baseSeconds: number };
  timeoutSeconds?: number;
  ttlSeconds?: number;
  runAt?: string;
  idempotencyKey?: string;
}

/** How often something was asked for, which may have happened unanswered, and how often it was acknowledged. */
export interface Tally {
  asked: number;
  granted: number;
}

/** An order, and what its clients did and were told since. */
export interface Entry {
  readonly order: Order;
  /** Orders with the same number were sent in one call, and never again: all or none is stored. */
  call: number;
  /** Once a client was told. */
  id?: string;
  readonly cancels: Tally;
  readonly retries: Tally;
  /** Its history as it was last seen, which can only grow. */
  seen: readonly StoredEvent[];
}

export interface KnownEntry extends Entry {
  id: string;
}

/** All orders of all runs, by their titles: what was asked, and what clients were told. */
export type Book = Map<string, Entry>;

/** What the commands of one run know. */
export interface Model {
  /** Begins the titles of the run's orders, and of no others. */
  readonly prefix: string;
  readonly book: Book;
  /** What was done and what came of it, a line each. */
  readonly trace: string[];
  /** Orders of this run, in the order in which they were sent. */
  entries(): Entry[];
  /** Those of them whose id a client knows. */
  known(): KnownEntry[];
  /** Takes down orders that are about to be sent in one call. */
  enter(plans: readonly Plan[]): Entry[];
  /** A number that was not given before, in any run. */
  next(): number;
}

/** An order before it is sent. */
export interface Plan extends Omit<Order, 'title' | 'runAt' | 'idempotencyKey'> {
  runInMs?: number;
  keyed: boolean;
}

export function openModel(book: Book, run: number): Model {
  const prefix = `run ${run}, `;
  let numbers = run * 1_000_000;

  function entries(): Entry[] {
    return [...book.values()].filter(({ order }) => order.title.startsWith(prefix));
  }

  function next(): number {
    numbers += 1;
    return numbers;
  }

  return {
    prefix,
    book,
    trace: [],
    entries,
    known: () => entries().filter(isKnown),
    enter(plans) {
      const call = next();
      const entered = plans.map(({ keyed, runInMs, ...plan }, index): Entry => {
        const title = `${prefix}order ${book.size + index}`;
        const order: Order = {
          ...plan,
          title,
          ...(runInMs !== undefined && { runAt: new Date(Date.now() + runInMs).toISOString() }),
          ...(keyed && { idempotencyKey: `key of ${title}` }),
        };
        return { order, call, cancels: tally(), retries: tally(), seen: [] };
      });
      for (const entry of entered) book.set(entry.order.title, entry);
      return entered;
    },
    next,
  };
}

export function isKnown(entry: Entry): entry is KnownEntry {
  return entry.id !== undefined;
}

const FINAL: readonly TaskStatus[] = ['COMPLETED', 'FAILED', 'CANCELLED'];

export function isFinal({ status }: { status: TaskStatus }): boolean {
  return FINAL.includes(status);
}

function tally(): Tally {
  return { asked: 0, granted: 0 };
}

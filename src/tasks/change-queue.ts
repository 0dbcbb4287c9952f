import { AppError } from '../domain/errors.ts';
import type { StreamedChange } from './cursor.ts';

/** What one subscriber has yet to read. The writing side never waits; the reading side is an async iterator. */
export interface ChangeQueue {
  push(change: StreamedChange): void;
  /** No more will come; what is queued is still read. */
  end(): void;
  /** As `end`, but the reader then sees the error. */
  fail(error: Error): void;
  /** Resolves once that many more fit: to true, or to false once nothing more is wanted. */
  room(count: number): Promise<boolean>;
  /** Nothing more is wanted: it has ended, or its reader has left. */
  readonly closed: boolean;
  readonly changes: AsyncIterableIterator<StreamedChange>;
  /** Called once, when the reader leaves or has read the end. */
  onClose(listener: () => void): void;
}

/** How far a reader may fall behind. */
const LIMIT = 1_000;

/**
 * A bounded queue with an explicit iterator: an async generator would not notice that its reader leaves while it waits.
 *
 * A reader that falls more than `limit` changes behind is told so (`LAGGED`) once it has read those.
 */
export function createChangeQueue(limit = LIMIT): ChangeQueue {
  const onClose: (() => void)[] = [];
  let queued: StreamedChange[] = [];
  let read = 0;
  let roomWanted: { count: number; resolve(fits: boolean): void }[] = [];
  let waiting: { resolve(result: Result): void; reject(error: Error): void } | undefined;
  let ended: { error?: Error } | undefined;
  let closed = false;

  function close(): Result {
    if (!closed) {
      closed = true;
      ended ??= {};
      queued = [];
      read = 0;
      waiting?.resolve(DONE);
      waiting = undefined;
      tellRoom();
      for (const listener of onClose) listener();
    }
    return DONE;
  }

  function finish(error?: Error) {
    if (ended !== undefined) return;
    ended = error === undefined ? {} : { error };
    tellRoom();
    const reader = waiting;
    waiting = undefined;
    if (reader === undefined) return;
    close();
    if (error === undefined) reader.resolve(DONE);
    else reader.reject(error);
  }

  const fits = (count: number) => queued.length - read + count <= limit;

  function tellRoom() {
    if (roomWanted.length === 0) return;
    const served = roomWanted.filter(({ count }) => ended !== undefined || fits(count));
    roomWanted = roomWanted.filter((wanted) => !served.includes(wanted));
    for (const { resolve } of served) resolve(ended === undefined);
  }

  async function next(): Promise<Result> {
    const value = queued[read];
    if (value !== undefined) {
      read += 1;
      tellRoom();
      // Drop what was read in one go now and then: shifting an array one by one is quadratic.
      if (read === queued.length || read >= 256) {
        queued.splice(0, read);
        read = 0;
      }
      return { done: false, value };
    }
    if (ended !== undefined) {
      const { error } = ended;
      ended = {};
      close();
      if (error !== undefined) throw error;
      return DONE;
    }
    return new Promise((resolve, reject) => {
      waiting = { resolve, reject };
    });
  }

  return {
    push(change) {
      if (ended !== undefined) return;
      if (waiting !== undefined) {
        const reader = waiting;
        waiting = undefined;
        reader.resolve({ done: false, value: change });
      } else if (fits(1)) {
        queued.push(change);
      } else {
        finish(lagged(limit));
      }
    },
    end: () => finish(),
    fail: finish,
    async room(count) {
      if (ended !== undefined || fits(count)) return ended === undefined;
      return new Promise((resolve) => roomWanted.push({ count, resolve }));
    },
    get closed() {
      return ended !== undefined;
    },
    onClose: (listener) => void onClose.push(listener),
    changes: {
      next,
      return: async () => close(),
      throw: async (error) => {
        close();
        throw error;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    },
  };
}

type Result = IteratorResult<StreamedChange, undefined>;
const DONE: Result = { done: true, value: undefined };

function lagged(limit: number): AppError {
  return new AppError(
    'LAGGED',
    `This subscriber fell more than ${limit} changes behind. Subscribe again with \`after\` set to the last cursor seen.`,
  );
}

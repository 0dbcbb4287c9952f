import { iterate, type Reader, type Reading, type Stream } from './stream.ts';

/** What one subscriber has yet to read. The writing side never waits. */
export interface Queue<T> {
  push(value: T): void;
  /** No more will come; what is queued is still read. */
  end(): void;
  /** As `end`, but the reader then sees the error. */
  fail(error: Error): void;
  /** Whether that many more fit. */
  fits(count: number): boolean;
  /** Resolves once that many more fit: to true, or to false once nothing more is wanted. */
  room(count: number): Promise<boolean>;
  /** Nothing more is wanted: it has ended, or its reader has left. */
  readonly closed: boolean;
  /** Called once, as soon as nothing more is wanted: at once if that is so already. */
  onClose(listener: () => void): void;
  readonly stream: Stream<T>;
}

/**
 * @param options.limit how many values a reader may be behind
 * @param options.lagged what a reader that falls further behind is told once it has read those; it gets the last value
 *   that was read. Without it the newest value takes the place of the one before.
 * @param options.start see `Stream.start`; asked for when somebody wants to know
 */
export function createQueue<T extends object>(options: {
  limit: number;
  lagged?: (last: T | undefined) => Error;
  start?: () => string | undefined;
}): Queue<T> {
  const { limit, lagged, start } = options;
  const onClose: (() => void)[] = [];
  let queued: T[] = [];
  let read = 0;
  let last: T | undefined;
  let roomWanted: { count: number; resolve(fits: boolean): void }[] = [];
  let reader: Reader<T> | undefined;
  let isWilling = false;
  let isTelling = false;
  let ended: { error: () => Error | undefined } | undefined;

  function finish(error: () => Error | undefined) {
    if (ended !== undefined) return;
    ended = { error };
    tellRoom();
    for (const listener of onClose) listener();
    tell();
  }

  const fits = (count: number) => queued.length - read + count <= limit;

  function tellRoom() {
    if (roomWanted.length === 0) return;
    const served = roomWanted.filter(({ count }) => ended !== undefined || fits(count));
    roomWanted = roomWanted.filter((wanted) => !served.includes(wanted));
    for (const { resolve } of served) resolve(ended === undefined);
  }

  /** Tells the reader as much as it takes. */
  function tell() {
    if (isTelling) return;
    isTelling = true;
    while (reader !== undefined && isWilling) {
      const value = takeNext();
      if (value !== undefined) {
        last = value;
        isWilling = reader.take(value);
      } else if (ended !== undefined) {
        const { end } = reader;
        reader = undefined;
        end(ended.error());
      } else break;
    }
    isTelling = false;
    tellRoom();
  }

  function takeNext(): T | undefined {
    const value = queued[read];
    if (value === undefined) return undefined;
    read += 1;
    // Drop what was read in one go now and then: shifting an array one by one is quadratic.
    if (read === queued.length || read >= 256) {
      queued.splice(0, read);
      read = 0;
    }
    return value;
  }

  function readBy(newReader: Reader<T>): Reading {
    reader = newReader;
    return {
      resume() {
        isWilling = true;
        tell();
      },
      leave() {
        reader = undefined;
        queued = [];
        read = 0;
        finish(() => undefined);
      },
    };
  }

  return {
    push(value) {
      if (ended !== undefined) return;
      if (fits(1)) queued.push(value);
      else if (lagged !== undefined) return finish(() => lagged(last));
      else queued[queued.length - 1] = value;
      tell();
    },
    end: () => finish(() => undefined),
    fail: (error) => finish(() => error),
    fits,
    async room(count) {
      if (ended !== undefined || fits(count)) return ended === undefined;
      return new Promise((resolve) => roomWanted.push({ count, resolve }));
    },
    get closed() {
      return ended !== undefined;
    },
    onClose(listener) {
      if (ended === undefined) onClose.push(listener);
      else listener();
    },
    // Whoever reads otherwise takes the place of the iterator.
    stream: {
      ...iterate(readBy),
      read: readBy,
      get over() {
        return ended !== undefined && read === queued.length && ended.error() === undefined;
      },
      get start() {
        return start?.();
      },
    },
  };
}

/**
 * Values for one subscriber, told one by one as it has room for them. To be read once: by a `Reader`, which is told
 * without a promise for each value, or as an async iterator.
 */
export interface Stream<T> extends AsyncIterableIterator<T, undefined> {
  /** Nothing is told before the first `resume`. */
  read(reader: Reader<T>): Reading;
  /** It has ended well and nothing is left to tell: a reader would be told of the end and of nothing else. */
  readonly over: boolean;
  /** The cursor that it begins after, for a client that is cut off before it has seen any; where there is one. */
  readonly start: string | undefined;
}

export interface Reader<T> {
  /** Must not throw. @returns whether it takes another one right away; if not, it calls `resume` once it does */
  take(value: T): boolean;
  /** All has been told; with what went wrong, if anything did. Nothing is called after it. */
  end(error?: Error): void;
}

export interface Reading {
  resume(): void;
  /** Nothing more is wanted. */
  leave(): void;
}

/** The same stream, each value made into another one or into a promise of it. Order holds; a failure ends it. */
export function readMapped<T, Mapped>(
  stream: Stream<T>,
  map: (value: T) => Mapped | Promise<Mapped>,
  { take, end }: Reader<Mapped>,
): Reading {
  let mapping = false;
  const reading = stream.read({
    take(value) {
      const mapped = map(value);
      if (!(mapped instanceof Promise)) return take(mapped);
      mapping = true;
      mapped.then(
        (value) => {
          mapping = false;
          if (take(value)) reading.resume();
        },
        (error) => {
          reading.leave();
          end(error);
        },
      );
      return false;
    },
    end,
  });
  return {
    resume() {
      if (!mapping) reading.resume();
    },
    leave: reading.leave,
  };
}

/** Reads as an async iterator. It is explicit: a generator would not notice that its reader leaves while it waits. */
export function iterate<T>(
  read: (reader: Reader<T>) => Reading,
): AsyncIterableIterator<T, undefined> {
  const waiting: PromiseWithResolvers<IteratorResult<T, undefined>>[] = [];
  let ended: { error?: Error } | undefined;
  const reading = read({
    take(value) {
      waiting.shift()?.resolve({ done: false, value });
      return waiting.length > 0;
    },
    end(error) {
      const next = waiting.shift();
      if (error === undefined || next === undefined) next?.resolve(DONE);
      else next.reject(error);
      finish();
    },
  });

  function finish() {
    ended = {};
    for (const { resolve } of waiting.splice(0)) resolve(DONE);
  }

  function leave() {
    finish();
    reading.leave();
  }

  return {
    async next() {
      if (ended !== undefined) return DONE;
      const next = Promise.withResolvers<IteratorResult<T, undefined>>();
      waiting.push(next);
      if (waiting.length === 1) reading.resume();
      return next.promise;
    },
    async return() {
      leave();
      return DONE;
    },
    async throw(error) {
      leave();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const DONE = { done: true, value: undefined } as const;

/** Collects what callbacks deliver, so that a test can wait for it. */
export interface Inbox<T> {
  /** All that ever arrived. */
  readonly all: readonly T[];
  /** The way in, ready to be passed as a callback. */
  put: (item: T) => void;
  /** The next one that nobody took yet; waits for it. */
  take(): Promise<T>;
  takeMany(count: number): Promise<T[]>;
}

export function createInbox<T>(): Inbox<T> {
  const all: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  let taken = 0;

  function take(): Promise<T> {
    return new Promise((resolve) => {
      waiting.push(resolve);
      serve();
    });
  }

  function serve(): void {
    while (taken < all.length) {
      const resolve = waiting.shift();
      if (!resolve) return;
      resolve(all[taken++] as T);
    }
  }

  return {
    all,
    put(item) {
      all.push(item);
      serve();
    },
    take,
    async takeMany(count) {
      const items: T[] = [];
      while (items.length < count) items.push(await take());
      return items;
    },
  };
}

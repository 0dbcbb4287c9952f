/** Keeps who changes things from running far ahead of the slowest of those who watch all of them. */
export interface Pace {
  changed(count: number): void;
  /** One more of the changes has reached this watcher. */
  saw(watcher: number): void;
  /** Resolves when nobody is more than the limit behind. */
  room(): Promise<void>;
}

/** @param limit in changes */
export function createPace({ watchers, limit }: { watchers: number; limit: number }): Pace {
  const behind = new Array<number>(watchers).fill(0);
  let moved = Promise.withResolvers<void>();
  return {
    changed(count) {
      for (const watcher of behind.keys()) behind[watcher] = (behind[watcher] ?? 0) + count;
    },
    saw(watcher) {
      behind[watcher] = (behind[watcher] ?? 0) - 1;
      moved.resolve();
      moved = Promise.withResolvers();
    },
    async room() {
      while (Math.max(...behind) > limit) await moved.promise;
    },
  };
}

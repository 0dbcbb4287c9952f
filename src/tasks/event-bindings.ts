import type { EventStream } from '../broker/broker.ts';

/** Which announcements of one kind this process gets: those of the keys that are watched, and few others. */
export interface Bindings {
  /** Once it resolves, all that is announced under the key from then on is heard. */
  bind(key: string): Promise<void>;
  unbind(key: string): void;
  /** The same for all keys there are. */
  bindAll(): Promise<void>;
  unbindAll(): void;
}

/** How many keys are bound one by one. With more, the broker would look through them for every message. */
const MAX_BOUND = 500;
/** With fewer it goes back to that. Far below, so that it does not go back and forth. */
const FEW = MAX_BOUND / 2;

/** @param options.patternOf the binding pattern of one key; of all when undefined */
export function createBindings(options: {
  stream: Pick<EventStream, 'bind' | 'unbind'>;
  patternOf: (key?: string) => string;
}): Bindings {
  const { stream, patternOf } = options;
  const watched = new Set<string>();
  let isAllWatched = false;
  /** All are bound, which covers each of them. */
  let wide: Promise<void> | undefined;

  // The stream keeps the order of these calls: what is bound first covers what is unbound after it.

  function widen(): Promise<void> {
    if (wide === undefined) {
      wide = stream.bind(patternOf());
      for (const key of watched) void stream.unbind(patternOf(key));
    }
    return wide;
  }

  function narrow() {
    if (wide === undefined || isAllWatched || watched.size >= FEW) return;
    wide = undefined;
    for (const key of watched) void stream.bind(patternOf(key));
    void stream.unbind(patternOf());
  }

  return {
    bind(key) {
      const binding = wide ?? (watched.size < MAX_BOUND ? stream.bind(patternOf(key)) : widen());
      watched.add(key);
      return binding;
    },
    unbind(key) {
      watched.delete(key);
      if (wide === undefined) void stream.unbind(patternOf(key));
      else narrow();
    },
    bindAll() {
      isAllWatched = true;
      return widen();
    },
    unbindAll() {
      isAllWatched = false;
      narrow();
    },
  };
}

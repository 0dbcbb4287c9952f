import type { Bindings } from './event-bindings.ts';

/** Who listens to what of one kind. What has listeners is bound, and nothing else. */
export interface Topics<Listener> {
  /** Once it resolves, all that is announced under the key from then on is heard. Returns the way to leave. */
  listen(key: string, listener: Listener): Promise<() => void>;
  /** The same for all keys there are. */
  listenToAll(listener: Listener): Promise<() => void>;
  /** Those who listen to this key, or to all when undefined. */
  listeners(key: string | undefined): Iterable<Listener>;
  /** Whatever they listen to. */
  everyone(): Iterable<Listener>;
  /** What is listened to one by one. */
  keys(): string[];
}

interface Topic<Listener> {
  readonly listeners: Set<Listener>;
  readonly bound: Promise<void>;
}

export function createTopics<Listener>(bindings: Bindings): Topics<Listener> {
  const topics = new Map<string | undefined, Topic<Listener>>();

  async function join(key: string | undefined, listener: Listener): Promise<() => void> {
    const topic = topics.get(key) ?? open(key);
    topic.listeners.add(listener);
    const leave = () => {
      if (!topic.listeners.delete(listener) || topic.listeners.size > 0) return;
      topics.delete(key);
      if (key === undefined) bindings.unbindAll();
      else bindings.unbind(key);
    };
    try {
      await topic.bound;
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  function open(key: string | undefined): Topic<Listener> {
    const bound = key === undefined ? bindings.bindAll() : bindings.bind(key);
    const topic = { listeners: new Set<Listener>(), bound };
    topics.set(key, topic);
    return topic;
  }

  return {
    listen: join,
    listenToAll: (listener) => join(undefined, listener),
    listeners: (key) => topics.get(key)?.listeners ?? [],
    *everyone() {
      for (const { listeners } of topics.values()) yield* listeners;
    },
    keys: () => [...topics.keys()].filter((key) => key !== undefined),
  };
}

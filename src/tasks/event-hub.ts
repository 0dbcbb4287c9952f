import type { Broker, EventStream } from '../broker/broker.ts';
import { eventPattern } from '../broker/messages.ts';
import type { TaskChange } from '../domain/task.ts';

/** What a subscriber of the hub wants to hear. */
export interface Listener {
  onChange(change: TaskChange): void;
  /**
   * Changes may have been missed: look into the database.
   * @param version the task's present version, where it is known
   */
  onDoubt(version?: number): void;
}

/**
 * The one place in a process where announced changes arrive, and from where they go to whoever watches. The process
 * hears only what is watched: it binds a task's changes when its first watcher comes and lets go with the last.
 */
export interface EventHub {
  /** Once it resolves, every later change is heard. `taskId` undefined: of all tasks. Returns the way to leave. */
  watch(taskId: string | undefined, listener: Listener): Promise<() => void>;
  /** The tasks that are watched one by one. */
  watchedTasks(): string[];
  /** Tells the watchers of a task, or of all tasks when undefined, that they may have missed something. */
  doubt(taskId: string | undefined, version?: number): void;
  close(): Promise<void>;
}

interface Topic {
  readonly listeners: Set<Listener>;
  readonly bound: Promise<void>;
}

export async function openEventHub(broker: Broker): Promise<EventHub> {
  const topics = new Map<string | undefined, Topic>();
  const stream: EventStream = await broker.openEventStream({
    onChange(change) {
      for (const topic of [topics.get(change.task.id), topics.get(undefined)]) {
        for (const listener of topic?.listeners ?? []) listener.onChange(change);
      }
    },
    onGap() {
      for (const { listeners } of topics.values()) {
        for (const listener of listeners) listener.onDoubt();
      }
    },
  });

  function leave(taskId: string | undefined, topic: Topic, listener: Listener) {
    if (!topic.listeners.delete(listener) || topic.listeners.size > 0) return;
    topics.delete(taskId);
    // A watcher that comes while this is under way binds anew, after it: the stream keeps the order of calls.
    void stream.unbind(patternOf(taskId));
  }

  return {
    async watch(taskId, listener) {
      const topic = topics.get(taskId) ?? {
        listeners: new Set(),
        bound: stream.bind(patternOf(taskId)),
      };
      topics.set(taskId, topic);
      topic.listeners.add(listener);
      try {
        await topic.bound;
      } catch (error) {
        leave(taskId, topic, listener);
        throw error;
      }
      return () => leave(taskId, topic, listener);
    },
    watchedTasks: () => [...topics.keys()].filter((id) => id !== undefined),
    doubt(taskId, version) {
      for (const listener of topics.get(taskId)?.listeners ?? []) listener.onDoubt(version);
    },
    close: () => stream.close(),
  };
}

function patternOf(taskId: string | undefined): string {
  return eventPattern(taskId === undefined ? {} : { id: taskId });
}

import type { Broker } from '../broker/broker.ts';
import { eventPattern, progressPattern } from '../broker/messages.ts';
import type { TaskChange, TaskProgress } from '../domain/task.ts';
import type { TaskState } from '../store/event-queries.ts';
import { createBindings } from './event-bindings.ts';
import { createTopics, type Topics } from './topics.ts';

/** Who wants to hear of the changes of a task, or of all tasks. */
export interface ChangeListener {
  onChange(change: TaskChange): void;
  /**
   * Changes may have been missed: look into the database.
   * @param version the task's present version, where it is known
   */
  onDoubt(version?: number): void;
}

/** Who wants to hear how far the runs of a task are. */
export interface ProgressListener {
  onProgress(progress: TaskProgress): void;
  /** The task as it was found in the database. @param readAt a time before that */
  onState(state: TaskState, readAt: number): void;
}

/**
 * The one place in a process where announcements arrive, and from where they go to whoever listens. The process hears
 * only what is listened to.
 */
export interface EventHub {
  /** By the id of a task. */
  readonly changes: Topics<ChangeListener>;
  /** By the id of a task. */
  readonly progress: Topics<ProgressListener>;
  close(): Promise<void>;
}

export async function openEventHub(broker: Broker): Promise<EventHub> {
  const stream = await broker.openEventStream({
    onChange(change) {
      for (const { onChange } of changes.listeners(change.task.id)) onChange(change);
      for (const { onChange } of changes.listeners(undefined)) onChange(change);
    },
    onProgress(report) {
      for (const { onProgress } of progress.listeners(report.taskId)) onProgress(report);
    },
    onGap() {
      for (const { onDoubt } of changes.everyone()) onDoubt();
    },
  });
  const patternOf = (id?: string) => eventPattern(id === undefined ? {} : { id });
  const changes = createTopics<ChangeListener>(createBindings({ stream, patternOf }));
  const progress = createTopics<ProgressListener>(
    createBindings({ stream, patternOf: progressPattern }),
  );
  return { changes, progress, close: stream.close };
}

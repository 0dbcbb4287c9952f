import { taskNotFound } from '../domain/errors.ts';
import { isFinal, type TaskProgress } from '../domain/task.ts';
import { presentStates, type TaskState } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import type { EventHub } from './event-hub.ts';
import { createQueue, type Queue } from './queue.ts';

/**
 * How far the runs of a task are: the last value that is stored first, then each one that is announced. Ends after a
 * final status, with the last value told. A slow reader is told the latest only.
 *
 * An announcement that got lost is made up for by the next one, or by the state of the task as it is read now and then.
 *
 * @throws AppError TASK_NOT_FOUND, SERVICE_UNAVAILABLE
 */
export async function watchProgress(
  { hub, sql, now }: { hub: EventHub; sql: Sql; now: () => number },
  taskId: string,
): Promise<Queue<TaskProgress>> {
  const queue = createQueue<TaskProgress>({ limit: 1 });
  let last: TaskProgress | undefined;
  let lastAt = Number.NEGATIVE_INFINITY;

  function tell(progress: TaskProgress) {
    if (last !== undefined && progress.version < last.version) return;
    if (last?.progress !== progress.progress || last.message !== progress.message) {
      queue.push(progress);
    }
    last = progress;
    lastAt = now();
  }

  function tellState({ id, status, version, attempt, progress, message, at }: TaskState) {
    if (progress !== null) tell({ taskId: id, version, attempt, progress, message, at });
    if (isFinal(status)) queue.end();
  }

  function onState(state: TaskState, readAt: number) {
    // What was announced meanwhile is newer.
    if (readAt >= lastAt) tellState(state);
  }

  try {
    // Listen before reading: what is announced in between must not be lost.
    queue.onClose(await hub.progress.listen(taskId, { onProgress: tell, onState }));
    const leave = await hub.changes.listen(taskId, {
      onChange({ event, task }) {
        const { status, at } = event;
        if (isFinal(status)) tellState({ ...task, status, message: task.progressMessage, at });
      },
      // The state that is read now and then tells all there is.
      onDoubt: () => {},
    });
    queue.onClose(leave);
    const readAt = now();
    const [state] = await presentStates(sql, [taskId]);
    if (state === undefined) throw taskNotFound(taskId);
    onState(state, readAt);
  } catch (error) {
    queue.end();
    throw error;
  }
  return queue;
}

import type { TaskChange } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';

/** The changes of tasks as streams that have no gap and can be resumed. */
export interface TaskFeed {
  /**
   * One task: its present state first, or all changes after the cursor `after` instead; then every change in order of
   * version. Ends after a final status.
   * @throws AppError TASK_NOT_FOUND, BAD_USER_INPUT for a bad cursor; while streaming LAGGED, SERVICE_UNAVAILABLE
   */
  watchTask(id: string, after?: string | null): Promise<AsyncIterableIterator<TaskChange>>;
  /** All tasks that match, from now on, or from after the cursor. Does not end by itself. */
  watchTasks(filter: TaskFilter, after?: string | null): Promise<AsyncIterableIterator<TaskChange>>;
  /** Ends every stream. */
  close(): Promise<void>;
}

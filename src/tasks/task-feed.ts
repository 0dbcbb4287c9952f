import type { Logger } from 'pino';
import type { Broker } from '../broker/broker.ts';
import type { TaskChange } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import type { Sql } from '../store/database.ts';
import { presentVersions } from '../store/event-queries.ts';
import type { ChangeQueue } from './change-queue.ts';
import { openEventHub } from './event-hub.ts';
import { watchTask } from './watch-task.ts';
import { watchTasks } from './watch-tasks.ts';

/** The changes of tasks as streams that have no gap and can be resumed. */
export interface TaskFeed {
  /**
   * One task: its present state first, or all changes after the cursor `after` instead; then every change in order of
   * version. Ends after a final status.
   * @throws AppError TASK_NOT_FOUND, BAD_USER_INPUT for a bad cursor; while streaming LAGGED
   */
  watchTask(id: string, after?: string | null): Promise<AsyncIterableIterator<TaskChange>>;
  /** All tasks that match, from now on, or from after the cursor. Does not end by itself. */
  watchTasks(filter: TaskFilter, after?: string | null): Promise<AsyncIterableIterator<TaskChange>>;
  /** Ends every stream. */
  close(): Promise<void>;
}

/** How often the database is asked whether an announcement got lost; one statement for all that is watched. */
const HEAL_INTERVAL_MS = 1_500;

export async function createTaskFeed(options: {
  broker: Broker;
  sql: Sql;
  log: Logger;
}): Promise<TaskFeed> {
  const { broker, sql, log } = options;
  const hub = await openEventHub(broker);
  const open = new Set<ChangeQueue>();
  const healing = setInterval(() => void heal(), HEAL_INTERVAL_MS);

  /** A change whose announcement got lost shows as a version that nobody has heard of. */
  async function heal() {
    const ids = hub.watchedTasks();
    if (ids.length === 0) return;
    try {
      for (const { id, version } of await presentVersions(sql, ids)) hub.doubt(id, version);
    } catch (error) {
      log.debug({ err: error }, 'could not look for lost announcements');
    }
  }

  async function stream(opening: Promise<ChangeQueue>): Promise<AsyncIterableIterator<TaskChange>> {
    const queue = await opening;
    open.add(queue);
    queue.onClose(() => open.delete(queue));
    return queue.changes;
  }

  return {
    watchTask: (id, after) => stream(watchTask({ hub, sql }, id, after)),
    watchTasks: (filter, after) => stream(watchTasks({ hub, sql }, filter, after)),
    async close() {
      clearInterval(healing);
      for (const queue of open) queue.end();
      await hub.close();
    },
  };
}

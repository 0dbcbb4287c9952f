import type { Logger } from 'pino';
import type { Broker } from '../broker/broker.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import { presentVersions } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { createChangeLog } from './change-log.ts';
import type { ChangeQueue } from './change-queue.ts';
import type { StreamedChange } from './cursor.ts';
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
  watchTask(id: string, after?: string | null): Promise<AsyncIterableIterator<StreamedChange>>;
  /**
   * All tasks that match, from now on, or from after the cursor; each change once, in order per task. Does not end by
   * itself.
   * @throws AppError SERVICE_UNAVAILABLE, BAD_USER_INPUT for a bad cursor; while streaming LAGGED
   */
  watchTasks(
    filter: TaskFilter,
    after?: string | null,
  ): Promise<AsyncIterableIterator<StreamedChange>>;
  /** Ends every stream. */
  close(): Promise<void>;
}

/** How often the database is asked whether an announcement got lost; one statement for all tasks watched by id. */
const HEAL_INTERVAL_MS = 1_500;

export async function createTaskFeed(options: {
  broker: Broker;
  sql: Sql;
  log: Logger;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}): Promise<TaskFeed> {
  const { broker, sql, log, now = () => performance.now() } = options;
  const hub = await openEventHub(broker);
  const changeLog = createChangeLog({ hub, sql, log, now });
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

  async function stream(
    opening: Promise<ChangeQueue>,
  ): Promise<AsyncIterableIterator<StreamedChange>> {
    const queue = await opening;
    open.add(queue);
    queue.onClose(() => open.delete(queue));
    return queue.changes;
  }

  return {
    watchTask: (id, after) => stream(watchTask({ hub, sql }, id, after)),
    watchTasks: (filter, after) => stream(watchTasks({ changeLog, sql }, filter, after)),
    async close() {
      clearInterval(healing);
      for (const queue of open) queue.end();
      changeLog.close();
      await hub.close();
    },
  };
}

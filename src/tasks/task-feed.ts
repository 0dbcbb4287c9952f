import type { Logger } from 'pino';
import type { Broker } from '../broker/broker.ts';
import type { TaskProgress } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import { presentStates, type TaskState } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { createChangeLog } from './change-log.ts';
import type { StreamedChange } from './cursor.ts';
import { withDeadline } from './deadline.ts';
import { openEventHub } from './event-hub.ts';
import type { Queue } from './queue.ts';
import { changesTo, movesIn } from './selection.ts';
import type { Stream } from './stream.ts';
import { createTaskHistory } from './task-history.ts';
import { createTaskStats, type TaskStats } from './task-stats.ts';
import { createTurns } from './turns.ts';
import { watchProgress } from './watch-progress.ts';
import { watchTask } from './watch-task.ts';
import { watchTasks } from './watch-tasks.ts';

/** The changes of tasks as streams that have no gap and can be resumed. */
export interface TaskFeed {
  /**
   * One task: its present state first, or all changes after the cursor `after` instead; then every change in order of
   * version. Ends after a final status.
   * @throws AppError TASK_NOT_FOUND, BAD_USER_INPUT for a bad cursor; while streaming LAGGED, CURSOR_EXPIRED
   */
  watchTask(id: string, after?: string | null): Promise<Stream<StreamedChange>>;
  /**
   * All tasks that match, from now on, or from after the cursor; each change once, in order per task. Does not end by
   * itself.
   * @throws AppError SERVICE_UNAVAILABLE, BAD_USER_INPUT for a bad cursor, CURSOR_EXPIRED for one that is older than
   *   what is kept; while streaming LAGGED
   */
  watchTasks(filter: TaskFilter, after?: string | null): Promise<Stream<StreamedChange>>;
  /**
   * The list of tasks that match, as `watchTasks`: told is each change by which a task enters it, changes within it, or
   * leaves it (`move`).
   */
  watchList(filter: TaskFilter, after?: string | null): Promise<Stream<StreamedChange>>;
  /**
   * How far a task is. Ends after a final status. A slow reader is told the latest only.
   * @throws AppError TASK_NOT_FOUND, SERVICE_UNAVAILABLE
   */
  watchProgress(id: string): Promise<Stream<TaskProgress>>;
  /** How many tasks there are, whenever that changes. A slow reader is told the latest only. @throws AppError SERVICE_UNAVAILABLE */
  watchStats(): Promise<Stream<TaskStats>>;
  /** Ends every stream. */
  close(): Promise<void>;
}

/**
 * How often the database is asked whether an announcement got lost; one statement for all tasks watched by id. Twice that
 * is how long it takes to be sure.
 */
const HEAL_INTERVAL_MS = 900;

/** However many resume at the same time, most connections of the pool are for others. */
const BACKFILLS_AT_ONCE = 2;
/** A little less than the 10 s that a client is promised. */
const OPEN_WITHIN_MS = 9_000;
const NOT_OPENED = 'The stream could not begin in time. Subscribe again.';

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
  const history = createTaskHistory(sql);
  const inTurn = createTurns(BACKFILLS_AT_ONCE);
  const reading = { changeLog, sql, inTurn };
  const stats = createTaskStats({ changeLog, sql, log });
  const open = new Set<Pick<Queue<object>, 'end'>>();
  const healing = setInterval(() => void heal(), HEAL_INTERVAL_MS);

  let statesBefore: TaskState[] = [];
  let isLooking = false;

  /**
   * A change whose announcement got lost shows as a version that nobody has heard of, and still not a while later: what has
   * just been committed is on its way.
   */
  async function heal() {
    const ids = hub.changes.keys();
    // A database that is slow is not to be asked by many at once.
    if (ids.length === 0 || isLooking) return;
    isLooking = true;
    try {
      const readAt = now();
      const states = await presentStates(sql, ids);
      for (const { id, version } of statesBefore) {
        for (const { onDoubt } of hub.changes.listeners(id)) onDoubt(version);
      }
      statesBefore = states;
      for (const state of states) {
        for (const { onState } of hub.progress.listeners(state.id)) onState(state, readAt);
      }
    } catch (error) {
      log.debug({ err: error }, 'could not look for lost announcements');
    } finally {
      isLooking = false;
    }
  }

  async function stream<T>(opening: Promise<Queue<T>>): Promise<Stream<T>> {
    const endIfLate = async (signal: AbortSignal) => {
      const queue = await opening;
      if (signal.aborted) queue.end();
      return queue;
    };
    const queue = await withDeadline(OPEN_WITHIN_MS, endIfLate, NOT_OPENED);
    open.add(queue);
    queue.onClose(() => open.delete(queue));
    return queue.stream;
  }

  return {
    watchTask: (id, after) => stream(watchTask({ hub, sql, history }, id, after)),
    watchTasks: (filter, after) => stream(watchTasks(reading, changesTo(filter), after)),
    watchList: (filter, after) => stream(watchTasks(reading, movesIn(filter), after)),
    watchProgress: (id) => stream(watchProgress({ hub, sql, now }, id)),
    watchStats: () => stream(stats.watch()),
    async close() {
      clearInterval(healing);
      for (const queue of open) queue.end();
      stats.close();
      changeLog.close();
      await hub.close();
    },
  };
}

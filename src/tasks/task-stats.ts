import type { Logger } from 'pino';
import { TASK_PRIORITIES, TASK_STATUSES, type TaskChange } from '../domain/task.ts';
import { eventHorizon } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { countByStatus, type TaskCount } from '../store/task-counts.ts';
import type { ChangeLog } from './change-log.ts';
import { createQueue, type Queue } from './queue.ts';
import { changesTo } from './selection.ts';
import { has } from './seq-set.ts';

/** How many tasks there are. */
export interface TaskStats {
  readonly at: Date;
  /** Of each status and priority. */
  readonly counts: readonly TaskCount[];
}

/** Keeps count for all who watch. Nobody watching, nothing is counted. */
export interface TaskStatsSource {
  /**
   * The present counts, then those after each change, at most every `INTERVAL_MS`.
   * @throws AppError SERVICE_UNAVAILABLE
   */
  watch(): Promise<Queue<TaskStats>>;
  close(): void;
}

const INTERVAL_MS = 500;
/** How often to look whether tasks were deleted, which is no change of status. */
const HORIZON_INTERVAL_MS = 5_000;

/**
 * Tasks are counted in the database once. From then on every change of status moves one of them from one count to
 * another, and the log of changes tells each exactly once.
 */
export function createTaskStats(options: {
  changeLog: ChangeLog;
  sql: Sql;
  log: Logger;
}): TaskStatsSource {
  const { sql, log } = options;
  const queues = new Set<Queue<TaskStats>>();
  let counting: Promise<Tally> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStale = false;

  async function count(): Promise<Tally> {
    const tally = await openTally({ ...options, onChange });
    let looking = setTimeout(look, HORIZON_INTERVAL_MS);

    /** Counts anew when tasks were deleted. */
    async function look() {
      try {
        if ((await eventHorizon(sql)) !== tally.horizon) return await replace();
      } catch (error) {
        log.debug({ err: error }, 'could not look whether tasks were deleted');
      }
      if (!isClosed) looking = setTimeout(look, HORIZON_INTERVAL_MS);
    }

    async function replace() {
      const fresh = await count();
      if (isClosed) return fresh.close();
      close();
      counting = Promise.resolve(fresh);
      onChange();
    }

    let isClosed = false;
    function close() {
      isClosed = true;
      clearTimeout(looking);
      tally.close();
    }

    return { ...tally, close };
  }

  function onChange() {
    isStale = true;
    timer ??= setTimeout(tell, 0);
  }

  async function tell() {
    if (!isStale || counting === undefined) {
      timer = undefined;
      return;
    }
    isStale = false;
    timer = setTimeout(tell, INTERVAL_MS);
    const stats = (await counting).read();
    for (const queue of queues) queue.push(stats);
  }

  function stop() {
    clearTimeout(timer);
    timer = undefined;
    counting?.then(
      (tally) => tally.close(),
      () => {}, // Who waited for it has been told.
    );
    counting = undefined;
  }

  return {
    async watch() {
      const queue = createQueue<TaskStats>({ limit: 1 });
      queues.add(queue);
      queue.onClose(() => {
        queues.delete(queue);
        if (queues.size === 0) stop();
      });
      try {
        counting ??= count();
        queue.push((await counting).read());
        return queue;
      } catch (error) {
        queue.end();
        throw error;
      }
    },
    close: stop,
  };
}

interface Tally {
  read(): TaskStats;
  /** What had been deleted by the time of the count. */
  readonly horizon: bigint;
  close(): void;
}

async function openTally(options: {
  changeLog: ChangeLog;
  sql: Sql;
  onChange: () => void;
}): Promise<Tally> {
  const { changeLog, sql, onChange } = options;
  /** By `keyOf`. */
  const counts = new Map<string, number>();
  /** What the log has told before the count was there. */
  let early: TaskChange[] | undefined = [];
  let included = new Set<bigint>();

  function apply({ event, task }: TaskChange) {
    // It is the log's turn to tell it, but the count has seen it already.
    if (included.delete(event.seq)) return;
    if (event.previousStatus !== null) add(keyOf(event.previousStatus, task.priority), -1);
    add(keyOf(event.status, task.priority), 1);
    onChange();
  }

  function add(key: string, difference: number) {
    counts.set(key, (counts.get(key) ?? 0) + difference);
  }

  const { unseen, leave } = await changeLog.join({
    selection: changesTo({}),
    onChange: (change) => (early === undefined ? apply(change) : void early.push(change)),
    isReady: () => true,
    ready: async () => {},
  });
  try {
    const unseenByLog = unseen();
    const counted = await countByStatus(sql, unseenByLog);
    for (const { status, priority, count } of counted.counts)
      counts.set(keyOf(status, priority), count);
    included = new Set(counted.included);
    const held = early.filter(({ event }) => has(unseenByLog, event.seq));
    early = undefined;
    for (const change of held) apply(change);
    return { read: () => toStats(counts), horizon: counted.horizon, close: leave };
  } catch (error) {
    leave();
    throw error;
  }
}

function toStats(counts: ReadonlyMap<string, number>): TaskStats {
  const all = TASK_STATUSES.flatMap((status) =>
    TASK_PRIORITIES.map((priority) => {
      return { status, priority, count: counts.get(keyOf(status, priority)) ?? 0 };
    }),
  );
  return { at: new Date(), counts: all };
}

function keyOf(status: string, priority: string): string {
  return `${status} ${priority}`;
}

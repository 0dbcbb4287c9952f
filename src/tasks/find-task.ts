import { isUnavailable } from '../domain/errors.ts';
import type { Task } from '../domain/task.ts';
import type { Sql } from '../store/sql.ts';
import { findTasks } from '../store/task-queries.ts';
import { createMicroBatch } from './micro-batch.ts';

const MAX_IN_FLIGHT = 4;
/** Beside any other: one that waits for a dead connection must not hold up the rest. */
const MIN_IDS_BESIDE = 1;
const MAX_IDS = 200;

/**
 * Reads tasks by their ids; those that are asked for at the same time by one statement, as when many clients poll. Each
 * is read after it was asked for, so whoever has just changed a task sees the change.
 */
export function createTaskFinder(sql: Sql): (id: string) => Promise<Task | undefined> {
  return createMicroBatch<string, Task | undefined>({
    async run(ids) {
      const tasks = new Map((await findTasks(sql, ids)).map((task) => [task.id, task]));
      // As PostgreSQL writes them.
      return ids.map((id) => tasks.get(id.toLowerCase()));
    },
    weigh: () => 1,
    maxWeight: MAX_IDS,
    maxInFlight: MAX_IN_FLIGHT,
    minWeightBeside: MIN_IDS_BESIDE,
    isShared: isUnavailable,
  });
}

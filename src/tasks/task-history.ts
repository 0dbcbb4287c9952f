import { AppError } from '../domain/errors.ts';
import type { TaskChange } from '../domain/task.ts';
import { changesOfEach, type HistoryRequest } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { createMicroBatch } from './micro-batch.ts';

/**
 * What happened to a task after a version, a page of it. Many who ask at once are many who have missed something at once:
 * they share their reads, so that these leave room for whoever else needs the database.
 *
 * @throws AppError SERVICE_UNAVAILABLE
 */
export type TaskHistory = (request: HistoryRequest) => Promise<readonly TaskChange[]>;

/** Tasks in one statement, and statements at once. */
const MAX_TASKS = 50;
const MAX_IN_FLIGHT = 2;

export function createTaskHistory(sql: Sql): TaskHistory {
  const underWay = new Map<string, Promise<readonly TaskChange[]>>();
  const read = createMicroBatch<HistoryRequest, readonly TaskChange[]>({
    run: (requests) => changesOfEach(sql, requests),
    weigh: () => 1,
    maxWeight: MAX_TASKS,
    maxInFlight: MAX_IN_FLIGHT,
    minWeightBeside: 1,
    isShared: (error) => error instanceof AppError,
  });
  return (request) => {
    const key = `${request.taskId} ${request.version}`;
    const reading = underWay.get(key) ?? read(request).finally(() => underWay.delete(key));
    underWay.set(key, reading);
    return reading;
  };
}

import type { Broker } from '../broker/broker.ts';
import { AppError, taskNotFound } from '../domain/errors.ts';
import type { NewTask } from '../domain/new-task.ts';
import { CANCELLABLE_STATUSES, RETRYABLE_STATUSES, type Task } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import { cancel, retry, type Transition } from '../domain/transitions.ts';
import type { Database } from '../store/database.ts';
import {
  countTasks,
  findTaskGraph,
  listTasks,
  type Page,
  type PageRequest,
  type TaskQuery,
} from '../store/task-queries.ts';
import type { Advance } from './advance.ts';
import { changeMany } from './change-many.ts';
import { type CreatedTask, createTaskCreator } from './create-tasks.ts';
import { withDeadline } from './deadline.ts';
import { createTaskFinder } from './find-task.ts';
import { createSharedReads } from './shared-reads.ts';
import { createWholeTask, type WholeTask } from './whole-task.ts';

/**
 * All that a client may ask about tasks, for GraphQL and REST alike. Input arrives parsed. Every method throws
 * AppError SERVICE_UNAVAILABLE when the database is away: within 10 s when it is silent, if it is about one page or one
 * batch of tasks at most.
 */
export interface TaskService {
  /** Stores the task and hands it to the workers. @throws AppError IDEMPOTENCY_CONFLICT */
  create(input: NewTask): Promise<CreatedTask>;
  /** The same for many: all or nothing, in the order of the input. */
  createMany(inputs: readonly NewTask[]): Promise<CreatedTask[]>;
  /** The task with what `query` includes; null when there is none. */
  find(id: string, query: TaskQuery): Promise<Task | null>;
  /** @throws AppError TASK_NOT_FOUND */
  get(id: string): Promise<Task>;
  /** The task of a change, with what was too large to travel with it. @throws AppError TASK_NOT_FOUND when it is gone by now */
  whole: WholeTask;
  list(filter: TaskFilter, page: PageRequest): Promise<Page>;
  /** Exact up to 10,000; an estimate above. */
  count(filter: TaskFilter): Promise<number>;
  /** @throws AppError TASK_NOT_FOUND, TASK_NOT_CANCELLABLE */
  cancel(id: string, reason?: string | null): Promise<Task>;
  /** @throws AppError TASK_NOT_FOUND, TASK_NOT_RETRYABLE */
  retry(id: string): Promise<Task>;
  /** Cancels all that match and can be cancelled, in batches. @returns how many that were */
  cancelMany(filter: TaskFilter, reason?: string | null): Promise<number>;
  /** Retries all that match and can be retried, in batches. @returns how many that were */
  retryMany(filter: TaskFilter): Promise<number>;
}

export function createTaskService(options: {
  database: Database;
  broker: Broker;
  advance: Advance;
}): TaskService {
  const { database, advance } = options;
  const createTasks = createTaskCreator(options);
  const findTask = createTaskFinder(database);
  const share = createSharedReads();

  async function get(id: string): Promise<Task> {
    const task = await findTask(id);
    if (task === undefined) throw taskNotFound(id);
    return task;
  }

  async function change(transition: Transition, refusal: (task: Task) => AppError): Promise<Task> {
    const [change] = await advance([transition]);
    if (change !== undefined) return change.task;
    throw refusal(await get(transition.taskId));
  }

  return {
    get: (id) => inTime(() => get(id)),
    whole: createWholeTask((id) => inTime(() => get(id))),
    createMany: (inputs) => inTime((signal) => createTasks(inputs, signal)),
    async create(input) {
      const [created] = await inTime((signal) => createTasks([input], signal));
      if (created === undefined) throw new Error('One input gave no task.');
      return created;
    },
    find: (id, query) =>
      inTime(async () =>
        query.include === undefined
          ? ((await findTask(id)) ?? null)
          : findTaskGraph(database, id, query),
      ),
    list: (filter, page) =>
      inTime(() =>
        share(`list ${JSON.stringify([filter, page])}`, () => listTasks(database, filter, page)),
      ),
    count: (filter) =>
      inTime(() => share(`count ${JSON.stringify(filter)}`, () => countTasks(database, filter))),
    cancel: (id, reason) => inTime(() => change(cancel(id, reason ?? undefined), notCancellable)),
    retry: (id) => inTime(() => change(retry(id), notRetryable)),
    cancelMany: (filter, reason) =>
      changeMany({
        filter,
        from: CANCELLABLE_STATUSES,
        transition: (id) => cancel(id, reason ?? undefined),
        sql: database,
        advance,
      }),
    retryMany: (filter) =>
      changeMany({ filter, from: RETRYABLE_STATUSES, transition: retry, sql: database, advance }),
  };
}

/** A little less than the 10 s that a client is promised. */
const ANSWER_WITHIN_MS = 9_000;

function inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return withDeadline(ANSWER_WITHIN_MS, work);
}

function notCancellable({ id, status }: Task): AppError {
  return new AppError('TASK_NOT_CANCELLABLE', `Task ${id} is already ${status}.`);
}

function notRetryable({ id, status }: Task): AppError {
  return new AppError(
    'TASK_NOT_RETRYABLE',
    `Task ${id} is ${status}; only FAILED and CANCELLED tasks can be retried.`,
  );
}

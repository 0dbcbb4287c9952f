import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import { AppError, isUnavailable } from '../domain/errors.ts';
import type { NewTask } from '../domain/new-task.ts';
import type { Task, TaskChange } from '../domain/task.ts';
import type { Database } from '../store/database.ts';
import { insertTasks, type TaskRow } from '../store/insert-tasks.ts';
import { createSearchIndex } from '../store/search-index.ts';
import type { Sql } from '../store/sql.ts';
import { createDatabaseClock } from './database-clock.ts';
import { hashInput, replaysOf } from './idempotency.ts';
import { createMicroBatch } from './micro-batch.ts';
import { createRisingIds } from './rising-ids.ts';

/** A task that a client asked for. */
export interface CreatedTask {
  /** As it was handed over: PENDING, or NEW when it waits for its time or for RabbitMQ. */
  task: Task;
  /** It had been created before, with the same idempotency key and the same input. */
  replayed: boolean;
}

/**
 * Stores tasks, all or none, in the order of the input; none if the signal fires before it has begun.
 * @throws AppError IDEMPOTENCY_CONFLICT, SERVICE_UNAVAILABLE
 */
export type CreateTasks = (
  inputs: readonly NewTask[],
  signal?: AbortSignal,
) => Promise<CreatedTask[]>;

/** Batches on their way at a time: one is committed while the next waits for its confirmations. */
const MAX_IN_FLIGHT = 2;
/** A transaction costs as much as twenty of its rows: so many share it. */
const MIN_ROWS_BESIDE = 20;
const MAX_ROWS = 500;
/** More rows take longer to store than a message takes to a worker, which would ask for them again and again. */
const MAX_ROWS_EARLY = 10;

/**
 * A due task is stored as PENDING in a transaction that commits only after the broker has confirmed its message: the
 * row never claims what did not happen, and costs one write instead of two. A worker that is quicker than the commit
 * waits a moment for the row. When the broker is away the task is stored as NEW, for the dispatcher to send later.
 *
 * What different clients create at the same time shares a transaction. Besides being quicker, that bounds the
 * connections which wait for a slow broker.
 */
export function createTaskCreator(options: { database: Database; broker: Broker }): CreateTasks {
  const { database, broker } = options;
  const clock = createDatabaseClock();
  const nextId = createRisingIds();
  const searchIndex = createSearchIndex(database);

  const create = createMicroBatch<readonly TaskRow[], CreatedTask[]>({
    run: storeAndAnnounce,
    weigh: (rows) => rows.length,
    maxWeight: MAX_ROWS,
    maxInFlight: MAX_IN_FLIGHT,
    minWeightBeside: MIN_ROWS_BESIDE,
    isShared: isUnavailable,
  });
  return (inputs, signal) => create(inputs.map(toRow), signal);

  function toRow(input: NewTask): TaskRow {
    return { ...input, id: nextId(), inputHash: hashInput(input) };
  }

  async function storeAndAnnounce(groups: readonly (readonly TaskRow[])[]) {
    const { created, changes } = await storeAndPublish(groups);
    broker.publishEvents(changes);
    searchIndex.stored(groups.flat());
    return created;
  }

  async function storeAndPublish(groups: readonly (readonly TaskRow[])[]) {
    if (!broker.ready) return database.transaction((tx) => store(tx, groups, 'NEW'));
    try {
      return await database.transaction((tx) => store(tx, groups, 'PENDING'));
    } catch (error) {
      // Nothing goes out early for a while: its message might be about nothing again, and a worker would wait for it.
      if (!(error instanceof AppError) || isUnavailable(error)) clock.forget();
      if (!(error instanceof BrokerUnavailable)) throw error;
      return database.transaction((tx) => store(tx, groups, 'NEW'));
    }
  }

  async function store(
    tx: Sql,
    groups: readonly (readonly TaskRow[])[],
    dueStatus: 'NEW' | 'PENDING',
  ): Promise<{ created: CreatedTask[][]; changes: TaskChange[] }> {
    const rows = groups.flat();
    const early = dueStatus === 'PENDING' && broker.isRemote ? publishEarly(rows) : undefined;
    const told = clock.ask();
    const changes = await insertTasks(tx, rows, dueStatus);
    const stored = new Map(changes.map(({ task }) => [task.id, task]));
    const replays = await replaysOf(
      tx,
      rows.filter(({ id }) => !stored.has(id)),
    );
    const created = groups.map((group) =>
      group.map((row): CreatedTask => {
        const task = stored.get(row.id);
        return task === undefined
          ? { task: replays.taskFor(row), replayed: true }
          : { task, replayed: false };
      }),
    );
    const [first] = changes;
    if (first !== undefined) told(first.task.createdAt);
    await (early ?? publishStored([...stored.values()]));
    return { created, changes };
  }

  /**
   * Sends the messages of rows that are on their way to the database, so that one round trip hides the other. Only if
   * all of them are sure to be stored as PENDING: for one that is not, a worker would wait in vain.
   */
  function publishEarly(rows: readonly TaskRow[]): Promise<void> | undefined {
    const storedAt = clock.now();
    if (storedAt === undefined || rows.length > MAX_ROWS_EARLY || !rows.every(isSureToBeQueued)) {
      return undefined;
    }
    const confirmed = broker.publishTasks(
      rows.map(({ id, priority }) => ({ id, priority, storedAt })),
    );
    // Whoever waits for it hears of a failure; when the rows could not be stored, nobody does.
    confirmed.catch(() => {});
    return confirmed;
  }

  async function publishStored(tasks: readonly Task[]): Promise<void> {
    const due = tasks.filter(({ status }) => status === 'PENDING');
    if (due.length > 0) await broker.publishTasks(due.map(toMessage));
  }
}

function isSureToBeQueued({ idempotencyKey, runAt }: TaskRow): boolean {
  return idempotencyKey === null && runAt === null;
}

function toMessage({ id, priority, createdAt }: Task) {
  return { id, priority, storedAt: createdAt.getTime() };
}

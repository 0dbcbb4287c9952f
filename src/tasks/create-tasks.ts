import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import { AppError } from '../domain/errors.ts';
import type { NewTask } from '../domain/new-task.ts';
import type { Task } from '../domain/task.ts';
import type { Database, Sql } from '../store/database.ts';
import { findByKeys } from '../store/idempotency.ts';
import { insertTasks, type TaskRow } from '../store/insert-tasks.ts';

/** A task that a client asked for. */
export interface CreatedTask {
  /** As it was handed over: PENDING, or NEW when it waits for its time or for RabbitMQ. */
  task: Task;
  /** It had been created before, with the same idempotency key and the same input. */
  replayed: boolean;
}

/**
 * Stores tasks, all or none, and hands those that are due to the broker.
 *
 * A due task is stored as PENDING in a transaction that commits only after the broker has confirmed its message: the
 * row never claims what did not happen, and costs one write instead of two. A worker that is quicker than the commit
 * waits a moment for the row. When the broker is away the task is stored as NEW, for the dispatcher to send later.
 *
 * @throws AppError IDEMPOTENCY_CONFLICT, SERVICE_UNAVAILABLE
 */
export async function createTasks(
  { database, broker }: { database: Database; broker: Broker },
  inputs: readonly NewTask[],
): Promise<CreatedTask[]> {
  const rows = inputs.map(toRow);
  const { created, changes } = await storeAndPublish();
  broker.publishEvents(changes);
  return created;

  async function storeAndPublish() {
    if (!broker.ready) return database.transaction((tx) => store(tx, 'NEW'));
    try {
      return await database.transaction((tx) => store(tx, 'PENDING'));
    } catch (error) {
      if (!(error instanceof BrokerUnavailable)) throw error;
      return database.transaction((tx) => store(tx, 'NEW'));
    }
  }

  async function store(tx: Sql, dueStatus: 'NEW' | 'PENDING') {
    const changes = await insertTasks(tx, rows, dueStatus);
    const tasks = new Map(changes.map(({ task }) => [task.id, task]));
    const created = await withReplays(tx, rows, tasks);
    const due = [...tasks.values()].filter((task) => task.status === 'PENDING');
    if (due.length > 0) {
      await broker.publishTasks(due.map(({ id, priority }) => ({ id, priority })));
    }
    return { created, changes };
  }
}

/** Each row's task: the one just stored, or the one that its idempotency key already stands for. */
async function withReplays(
  tx: Sql,
  rows: readonly TaskRow[],
  stored: ReadonlyMap<string, Task>,
): Promise<CreatedTask[]> {
  const taken = rows.filter((row) => !stored.has(row.id)).map((row) => row.idempotencyKey);
  const earlier = await findByKeys(
    tx,
    taken.filter((key) => key !== null),
  );
  return rows.map((row) => {
    const task = stored.get(row.id);
    if (task !== undefined) return { task, replayed: false };
    const first = row.idempotencyKey === null ? undefined : earlier.get(row.idempotencyKey);
    if (first === undefined) throw new Error(`Task ${row.id} was not stored.`);
    if (!row.inputHash?.equals(first.inputHash)) throw conflict(row.idempotencyKey);
    return { task: first.task, replayed: true };
  });
}

function conflict(key: string | null): AppError {
  return new AppError(
    'IDEMPOTENCY_CONFLICT',
    `The idempotency key ${JSON.stringify(key)} was already used with other input.`,
  );
}

function toRow(input: NewTask): TaskRow {
  // Version 7 ids of one process rise strictly, so a batch keeps its order.
  const inputHash = input.idempotencyKey === null ? null : hash(input);
  return { ...input, id: uuidv7(), inputHash };
}

function hash(input: NewTask): Buffer {
  return createHash('sha256').update(canonicalJson(input)).digest();
}

/** JSON in which the order of keys makes no difference. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

import { createHash } from 'node:crypto';
import { AppError } from '../domain/errors.ts';
import type { NewTask } from '../domain/new-task.ts';
import type { Task } from '../domain/task.ts';
import { findByKeys } from '../store/idempotency.ts';
import type { TaskRow } from '../store/insert-tasks.ts';
import type { Sql } from '../store/sql.ts';

/**
 * What tells the same input from another under the same idempotency key; null without a key. It is stored, so it must stay
 * the same for the same input: a field that is added later counts only if it is not null, or each repeat of what was
 * created before would look like other input.
 */
export function hashInput(input: NewTask): Buffer | null {
  if (input.idempotencyKey === null) return null;
  const counts = ([name, value]: [string, unknown]) => value !== null || FIRST_FIELDS.has(name);
  const counted = Object.fromEntries(Object.entries(input).filter(counts));
  return createHash('sha256').update(canonicalJson(counted)).digest();
}

/** Those that counted from the first, also as null. None is to be added. */
const FIRST_FIELDS: ReadonlySet<string> = new Set<keyof NewTask>([
  'payload',
  'runAt',
  'expiresAt',
  'ttlSeconds',
  'timeoutSeconds',
  'retry',
]);

/** The tasks that stand for rows whose idempotency key was taken. */
export interface Replays {
  /** @throws AppError IDEMPOTENCY_CONFLICT when the key came with other input */
  taskFor(row: TaskRow): Task;
}

/** @param rows those that were not stored because their key was taken, in this transaction or before */
export async function replaysOf(sql: Sql, rows: readonly TaskRow[]): Promise<Replays> {
  const keys = rows.map(({ idempotencyKey }) => idempotencyKey).filter((key) => key !== null);
  const first = await findByKeys(sql, keys);
  return {
    taskFor({ id, idempotencyKey, inputHash }) {
      const earlier = idempotencyKey === null ? undefined : first.get(idempotencyKey);
      if (earlier === undefined) throw new Error(`Task ${id} was not stored.`);
      if (inputHash?.equals(earlier.inputHash)) return earlier.task;
      throw new AppError(
        'IDEMPOTENCY_CONFLICT',
        `The idempotency key ${JSON.stringify(idempotencyKey)} was already used with other input.`,
      );
    },
  };
}

/** JSON in which the order of keys makes no difference. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

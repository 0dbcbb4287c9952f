import type { Task } from '../domain/task.ts';
import type { Sql, Statement } from './sql.ts';
import { TASK_COLUMNS } from './task-rows.ts';

/** A task that was created with an idempotency key, and the hash of the input that came with it. */
export interface KeyedTask {
  task: Task;
  inputHash: Buffer;
}

/** The tasks that these idempotency keys stand for, by key. */
export async function findByKeys(
  sql: Sql,
  keys: readonly string[],
): Promise<Map<string, KeyedTask>> {
  if (keys.length === 0) return new Map();
  const rows = await sql.run<Task & { key: string; inputHash: Buffer }>(BY_KEY, [keys]);
  return new Map(rows.map(({ key, inputHash, ...task }) => [key, { task, inputHash }]));
}

const BY_KEY: Statement = {
  name: 'find_by_idempotency_key',
  text: `
select t.idempotency_key as key, t.input_hash as "inputHash", ${TASK_COLUMNS}
from tasks t
where t.idempotency_key = any ($1::text[])`,
};

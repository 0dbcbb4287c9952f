import type { Task } from '../../src/domain/task.ts';
import type { Sql } from '../../src/store/sql.ts';

/** Gives a task a deadline that has passed. */
export async function missDeadline(sql: Sql, { id }: Pick<Task, 'id'>): Promise<void> {
  const text = "update tasks set expires_at = now() - interval '1 s' where id = $1";
  await sql.run({ text }, [id]);
}

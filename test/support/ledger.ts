import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { TaskStatus } from '../../src/domain/task.ts';
import { contractBreaches, inWords, STORED_TASKS, type StoredTask } from './histories.ts';

/** What PostgreSQL says, read past the service and past any proxy. */
export interface Ledger {
  /** For whatever else a test asks, or does behind the service's back. */
  readonly sql: pg.Pool;
  /** All tasks, oldest first. */
  tasks(): Promise<StoredTask[]>;
  task(id: string): Promise<StoredTask>;
  count(status: TaskStatus): Promise<number>;
  /** Rows of the workers, oldest first. */
  workers(): Promise<{ id: string; pid: number; alive: boolean }[]>;
  /** The clock that all times in the database are of. */
  now(): Promise<Date>;
}

export function openLedger(url: string): Ledger {
  const sql = new pg.Pool({ connectionString: url, max: 2, application_name: 'ledger' });
  // A test may end every session of the database; an idle one must not end the test run with it.
  sql.on('error', () => {});
  onTestFinished(() => sql.end());

  async function rows<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await sql.query<Row>(text, values)).rows;
  }

  async function one<Row extends object>(text: string, values: unknown[] = []): Promise<Row> {
    const [row] = await rows<Row>(text, values);
    if (row === undefined) throw new Error(`No row for ${JSON.stringify(values)}: ${text}`);
    return row;
  }

  return {
    sql,
    tasks: () => rows(`${STORED_TASKS} order by t.id`),
    task: (id) => one(`${STORED_TASKS} where t.id = $1`, [id]),
    async count(status) {
      const text = 'select count(*)::int as count from tasks where status = $1';
      return (await one<{ count: number }>(text, [status])).count;
    },
    workers: () => rows('select id, pid, stopped_at is null as alive from workers order by id'),
    now: async () => (await one<{ now: Date }>('select now()')).now,
  };
}

/** What is wrong with tasks that should all have completed, once and by the rules; nothing when nothing is. */
export function breaches(tasks: readonly StoredTask[]): string[] {
  return tasks.flatMap((task) => [
    ...(task.status === 'COMPLETED' ? [] : [`has not completed: ${inWords(task)}`]),
    ...contractBreaches(task),
  ]);
}

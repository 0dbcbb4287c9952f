import type pg from 'pg';
import type { Completed } from '../contender.ts';

/** How far the rows beside a library's jobs are. */
export function countRows(sql: pg.Pool) {
  return {
    async hasOpen(): Promise<boolean> {
      const open = "select from task_rows where status = 'PENDING' limit 1";
      return (await sql.query(open)).rowCount !== 0;
    },
    async completed(): Promise<Completed> {
      const { rows } = await sql.query<{ count: number; at: Date }>(
        `select count(*)::int as count, max(completed_at) as at from task_rows
         where status = 'COMPLETED'`,
      );
      return { count: rows[0]?.count ?? 0, lastAt: Number(rows[0]?.at) };
    },
  };
}

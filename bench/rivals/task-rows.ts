import pg from 'pg';

/** The row that an application keeps beside a library's own job, for whoever lists tasks or asks for their status. */
export const TASK_ROWS = `
  create table task_rows (
    id uuid primary key default gen_random_uuid(),
    title text not null,
    payload jsonb,
    status text not null default 'PENDING',
    created_at timestamptz not null default now(),
    completed_at timestamptz
  )`;

export function openTaskRows(databaseUrl: string) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
  return {
    pool,
    async insert({ title, payload }: { title?: string; payload?: unknown }): Promise<string> {
      const { rows } = await pool.query<{ id: string }>({
        name: 'insert',
        text: 'insert into task_rows (title, payload) values ($1, $2) returning id',
        values: [title, payload],
      });
      const [row] = rows;
      if (row === undefined) throw new Error('Nothing was inserted.');
      return row.id;
    },
    async insertMany(count: number, { title, payload }: { title: string; payload: unknown }) {
      const { rows } = await pool.query<{ id: string }>(
        `insert into task_rows (title, payload)
         select $1, $2 from generate_series(1, $3) returning id`,
        [title, payload, count],
      );
      return rows.map(({ id }) => id);
    },
    async complete(id: string): Promise<void> {
      await pool.query({
        name: 'complete',
        text: `update task_rows set status = 'COMPLETED', completed_at = now()
               where id = $1 and status = 'PENDING'`,
        values: [id],
      });
    },
  };
}

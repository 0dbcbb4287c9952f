/** Graphile Worker behind the least of an HTTP API. */
import { servePosts } from './serve-posts.ts';
import { readSettings } from './settings.ts';
import { openTaskRows } from './task-rows.ts';

const { pool } = openTaskRows(readSettings().databaseUrl);

servePosts(async (body) => {
  const { title, payload } = body as { title?: string; payload?: unknown };
  // The row and the job in one statement, hence in one transaction and one round trip: the best of this library.
  const { rows } = await pool.query<{ id: string }>({
    name: 'create',
    text: `with task as (insert into task_rows (title, payload) values ($1, $2) returning id)
           select task.id, graphile_worker.add_job('no-op', json_build_object('id', task.id))
           from task`,
    values: [title, payload],
  });
  return rows[0]?.id ?? '';
});

import type pg from 'pg';

/** How far apart they were created. */
export const EVERY_MS = 3_000;

/**
 * One task every three seconds until now, as a year or so leaves them. Indexes are made when the rows are there.
 *
 * @param options.open whether some of them are not final: a worker would run those
 */
export async function fillTasks(
  sql: pg.Pool,
  rows: number,
  { open }: { open: boolean },
): Promise<void> {
  const { rows: indexes } = await sql.query<{ name: string; definition: string }>(
    `select indexname as name, indexdef as definition from pg_indexes
     where tablename in ('tasks', 'task_traits') and indexname not like '%_pkey'`,
  );
  for (const { name } of indexes) await sql.query(`drop index ${name}`);
  await sql.query(
    `insert into tasks (
       id, title, description, priority, status, type, payload, max_attempts, attempt_budget, attempt, version,
       created_at, run_at, queued_at, started_at, finished_at, worker_id, error, result
     )
     select
       (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') ||
         '8000' || lpad(to_hex(n), 12, '0'))::uuid,
       'task number ' || n || ' ' || (array['resize photos', 'send mail', 'build report', 'sync account'])[1 + n % 4],
       case when n % 5 = 0 then 'for customer ' || n % 10007 else '' end,
       (array['HIGH', 'MEDIUM', 'LOW'])[1 + n % 3]::task_priority, status::task_status,
       (array['simulate', 'mail', 'report', 'sync'])[1 + (n / 7) % 4], '{"durationMs": 0}', 3, 3, 1, 4,
       at, at, at, at, case when status in ('COMPLETED', 'FAILED', 'CANCELLED') then at end,
       case when status = 'IN_PROGRESS' then '01890000-0000-7000-8000-00000000000a'::uuid end,
       case when status = 'FAILED' then '{"name": "Error", "message": "boom", "stack": null, "attempt": 1}'::jsonb end,
       case when status = 'COMPLETED' then '"done"'::jsonb end
     from generate_series(1, $1::int) n
     cross join lateral (
       select
         now()::timestamptz(3) - ($1 - n) * interval '${EVERY_MS} ms' as at,
         case
           when $2 and n % 50000 = 0 then 'IN_PROGRESS' when $2 and n % 1000 = 1 then 'NEW'
           when $2 and n % 1000 = 2 then 'PENDING'
           when n % 50 = 3 then 'FAILED' when n % 100 = 4 then 'CANCELLED' else 'COMPLETED'
         end as status
     ) s`,
    [rows, open],
  );
  for (const { definition } of indexes) await sql.query(definition);
  await sql.query('vacuum analyze tasks, task_traits');
}

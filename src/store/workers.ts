import type { OrphanedRun } from '../domain/retry-policy.ts';
import type { Claim } from '../domain/transitions.ts';
import type { Sql, Statement } from './sql.ts';

/** Keeps the advisory locks of workers apart from anybody else's in the same database. */
export const LOCK_SPACE = 7_461;

/** Announces a worker. `lockKey` names the advisory lock that its session is to hold while it lives. */
export async function registerWorker(
  sql: Sql,
  worker: { id: string; hostname: string; pid: number },
): Promise<{ lockKey: string }> {
  const [row] = await sql.run<{ lockKey: string }>(REGISTER, [
    worker.id,
    worker.hostname,
    worker.pid,
  ]);
  if (row === undefined) throw new Error('The database did not store the worker.');
  return row;
}

/**
 * One sign of life.
 * @param runs the versions under which this worker believes to hold its tasks
 * @returns `alive` is false when the worker has been declared dead; `lost` lists the tasks it no longer holds; `stray`
 *   those it holds without knowing, because the answer to its claim got lost
 */
export async function beat(
  sql: Sql,
  workerId: string,
  runs: readonly { taskId: string; version: number }[],
): Promise<{ alive: boolean; lost: string[]; stray: Claim[] }> {
  const [row] = await sql.run<{ alive: boolean; lost: string[]; stray: Claim[] }>(BEAT, [
    workerId,
    runs.map(({ taskId }) => taskId),
    runs.map(({ version }) => version),
  ]);
  return { alive: row?.alive ?? false, lost: row?.lost ?? [], stray: row?.stray ?? [] };
}

/** The worker stops by itself and holds nothing any more. */
export async function retireWorker(sql: Sql, workerId: string): Promise<void> {
  await sql.run(RETIRE, [workerId]);
}

/**
 * Declares workers dead, by compare-and-set: those silent for `silentMs` (null: none), and those silent for `cutOffMs`
 * whose database session is gone too (its advisory lock is free), as it is at once after a kill -9.
 */
export async function buryDeadWorkers(
  sql: Sql,
  limits: { silentMs: number | null; cutOffMs: number },
): Promise<{ id: string; hostname: string; pid: number }[]> {
  return sql.run(BURY, [limits.silentMs, limits.cutOffMs]);
}

/** The runs of workers that no longer live. */
export async function findOrphans(sql: Sql, limit: number): Promise<OrphanedRun[]> {
  return sql.run<OrphanedRun>(ORPHANS, [limit]);
}

const REGISTER: Statement = {
  name: 'register_worker',
  text: `
insert into workers (id, hostname, pid)
values ($1, $2, $3)
returning lock_key as "lockKey"`,
};

const BEAT: Statement = {
  name: 'worker_beat',
  text: `
with beat as (
  update workers set heartbeat_at = now() where id = $1 and stopped_at is null returning id
)
select
  exists (select from beat) as alive,
  array(
    select r.id
    from unnest($2::uuid[], $3::int[]) as r(id, version)
    left join tasks t on t.id = r.id
    where t.version is distinct from r.version
  ) as lost,
  (
    select coalesce(json_agg(json_build_object('taskId', t.id, 'version', t.version)), '[]')
    from tasks t
    where t.worker_id = $1
      and t.status = 'IN_PROGRESS'
      and t.id <> all ($2::uuid[])
      -- Longer ago than any answer is waited for.
      and t.started_at < now() - interval '10 s'
  ) as stray`,
};

const RETIRE: Statement = {
  name: 'retire_worker',
  text: 'update workers set stopped_at = now() where id = $1 and stopped_at is null',
};

const BURY: Statement = {
  name: 'bury_dead_workers',
  text: `
update workers
set stopped_at = now()
where stopped_at is null
  and heartbeat_at < now() - $2::float8 * interval '1 ms'
  and (
    heartbeat_at < now() - $1::float8 * interval '1 ms'
    or case when heartbeat_at < now() - $2::float8 * interval '1 ms' then pg_try_advisory_xact_lock(${LOCK_SPACE}, lock_key::int) end
  )
returning id, hostname, pid`,
};

const ORPHANS: Statement = {
  name: 'find_orphans',
  text: `
select t.id as "taskId", t.version, t.attempt, t.max_attempts as "maxAttempts", t.worker_deaths as "workerDeaths",
  t.worker_id as "workerId"
from tasks t
where t.status = 'IN_PROGRESS'
  and not exists (select from workers w where w.id = t.worker_id and w.stopped_at is null)
limit $1`,
};

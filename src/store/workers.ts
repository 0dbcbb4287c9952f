import type { OrphanedRun } from '../domain/retry-policy.ts';
import type { TaskStatus } from '../domain/task.ts';
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
 * @param known the tasks that this worker knows to hold
 * @returns `alive` is false when the worker has been declared dead; `stray` lists the tasks that it holds without knowing,
 *   because the answer to its claim got lost
 */
export async function beat(
  sql: Sql,
  workerId: string,
  known: readonly string[],
): Promise<{ alive: boolean; stray: Claim[] }> {
  const [row] = await sql.run<{ alive: boolean; stray: Claim[] }>(BEAT, [workerId, known]);
  return { alive: row?.alive ?? false, stray: row?.stray ?? [] };
}

/**
 * Which of the tasks a worker no longer holds, under the versions by which it knows them.
 * @returns their present status; null for a task that is gone
 */
export async function findLost(
  sql: Sql,
  runs: readonly Claim[],
): Promise<{ taskId: string; status: TaskStatus | null }[]> {
  return sql.run(LOST, [runs.map(({ taskId }) => taskId), runs.map(({ version }) => version)]);
}

/** All that a worker holds, by the database. */
export async function findHeld(sql: Sql, workerId: string): Promise<Claim[]> {
  return sql.run<Claim>(HELD, [workerId]);
}

/** The worker stops by itself and holds nothing any more. */
export async function retireWorker(sql: Sql, workerId: string): Promise<void> {
  await sql.run(RETIRE, [workerId]);
}

/**
 * Declares workers dead, by compare-and-set: those silent for `silentMs` (null: none), and those silent for `cutOffMs`
 * whose database session is gone too (its advisory lock is free), as it is at once after a kill -9.
 * @param judge the worker that does so; it declares nobody dead, itself least of all, unless it has just given a sign of
 *   life: when a whole machine has slept, everybody looks dead to who wakes first
 */
export async function buryDeadWorkers(
  sql: Sql,
  judge: string,
  limits: { silentMs: number | null; cutOffMs: number },
): Promise<{ id: string; hostname: string; pid: number }[]> {
  return sql.run(BURY, [limits.silentMs, limits.cutOffMs, judge]);
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

const LOST: Statement = {
  name: 'find_lost',
  text: `
select r.id as "taskId", t.status
from unnest($1::uuid[], $2::int[]) as r(id, version)
left join tasks t on t.id = r.id
where t.version is distinct from r.version`,
};

const BEAT: Statement = {
  name: 'worker_beat',
  text: `
with beat as (
  update workers set heartbeat_at = now() where id = $1 and stopped_at is null returning id
)
select
  exists (select from beat) as alive,
  (
    select coalesce(json_agg(json_build_object('taskId', t.id, 'version', t.version)), '[]')
    from tasks t
    where t.worker_id = $1
      and t.status = 'IN_PROGRESS'
      and t.id <> all ($2::uuid[])
      -- Longer ago than most answers are waited for; a run that begins after that finds its claim gone.
      and t.started_at < now() - interval '10 s'
  ) as stray`,
};

const HELD: Statement = {
  name: 'find_held',
  text: `select id as "taskId", version from tasks where worker_id = $1 and status = 'IN_PROGRESS'`,
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
  and exists (
    select from workers j
    where j.id = $3 and j.stopped_at is null and j.heartbeat_at >= now() - $2::float8 * interval '1 ms'
  )
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

import type { NewTask } from '../domain/new-task.ts';
import type { Task, TaskChange, TaskEvent, TaskStatus } from '../domain/task.ts';
import { noteIdDrift } from './id-drift.ts';
import type { Sql, Statement } from './sql.ts';

/** A task with the identity that the service gave it. */
export interface TaskRow extends NewTask {
  /** UUID version 7. */
  id: string;
  /** SHA-256 of the input; with an idempotency key only. */
  inputHash: Buffer | null;
}

/**
 * Stores tasks with their first events, in one statement. One whose idempotency key is taken is left out.
 *
 * @param dueStatus what a task becomes that is due at once: PENDING when the caller commits only after its message is
 *   confirmed, else NEW. One that is due later is NEW.
 * @returns the changes in the order of the input, NEW before PENDING
 */
export async function insertTasks(
  sql: Sql,
  rows: readonly TaskRow[],
  dueStatus: Extract<TaskStatus, 'NEW' | 'PENDING'>,
): Promise<TaskChange[]> {
  const stored = await sql.run<StoredRow>(INSERT, [JSON.stringify(rows.map(toWanted)), dueStatus]);
  const byId = new Map(stored.map((row) => [row.id, row]));
  const changes = rows.flatMap((input) => {
    const row = byId.get(input.id);
    return row === undefined ? [] : creation(input, row);
  });
  await noteIdDrift(
    sql,
    changes.map(({ task }) => task),
  );
  return changes;
}

/** As the statement takes it: what is null it need not be told. */
function toWanted(row: TaskRow) {
  return {
    id: row.id,
    title: row.title,
    description: row.description,
    priority: row.priority,
    type: row.type,
    payload: row.payload ?? undefined,
    max_attempts: row.maxAttempts,
    timeout_seconds: row.timeoutSeconds ?? undefined,
    retry: row.retry ?? undefined,
    run_at: row.runAt ?? undefined,
    expires_at: row.expiresAt ?? undefined,
    ttl_seconds: row.ttlSeconds ?? undefined,
    idempotency_key: row.idempotencyKey ?? undefined,
    input_hash: row.inputHash === null ? undefined : `\\x${row.inputHash.toString('hex')}`,
  };
}

/** What the database adds to a task; the rest was told to it and need not be told back. */
interface StoredRow {
  id: string;
  status: Extract<TaskStatus, 'NEW' | 'PENDING'>;
  createdAt: Date;
  runAt: Date;
  expiresAt: Date | null;
  /** PostgreSQL's bigint, which node-pg leaves as text. */
  firstSeq: string;
  /** That of the second event, if there is one. */
  secondSeq: string | null;
}

/** The first event shows the task as it was created, the second, if any, as it was handed over. */
function creation(input: TaskRow, row: StoredRow): TaskChange[] {
  const { status, createdAt, runAt, expiresAt, firstSeq, secondSeq } = row;
  const task: Task = {
    id: input.id,
    title: input.title,
    description: input.description,
    priority: input.priority,
    status: 'NEW',
    type: input.type,
    payload: input.payload,
    result: null,
    error: null,
    attempt: 0,
    maxAttempts: input.maxAttempts,
    attemptBudget: input.maxAttempts,
    timeoutSeconds: input.timeoutSeconds,
    retry: input.retry,
    progress: null,
    progressMessage: null,
    version: 1,
    workerId: null,
    createdAt,
    runAt,
    expiresAt,
    queuedAt: null,
    startedAt: null,
    finishedAt: null,
  };
  const event: TaskEvent = {
    taskId: input.id,
    version: 1,
    seq: BigInt(firstSeq),
    status: 'NEW',
    previousStatus: null,
    attempt: 0,
    at: createdAt,
    reason: null,
    outcome: null,
    workerId: null,
    error: null,
  };
  if (secondSeq === null) return [{ task, event }];
  return [
    { task, event },
    {
      task: { ...task, status, version: 2, queuedAt: createdAt },
      event: { ...event, version: 2, seq: BigInt(secondSeq), status, previousStatus: 'NEW' },
    },
  ];
}

const INSERT: Statement = {
  name: 'insert_tasks',
  text: `
with wanted as (
  select w.*, case when w.run_at > now() then 'NEW' else $2::task_status end as status
  from jsonb_to_recordset($1::jsonb) as w(
    id uuid, title text, description text, priority task_priority, type text, payload jsonb,
    max_attempts int, timeout_seconds int, retry jsonb, run_at timestamptz, expires_at timestamptz, ttl_seconds int,
    idempotency_key text, input_hash bytea
  )
),
inserted as (
  insert into tasks (
    id, title, description, priority, status, type, payload, max_attempts, attempt_budget, timeout_seconds, retry, version,
    run_at, expires_at, queued_at, idempotency_key, input_hash
  )
  select
    w.id, w.title, w.description, w.priority, w.status, w.type, w.payload, w.max_attempts, w.max_attempts,
    w.timeout_seconds, w.retry, case w.status when 'PENDING' then 2 else 1 end, coalesce(w.run_at, now()),
    coalesce(w.expires_at, greatest(w.run_at, now()) + w.ttl_seconds * interval '1 s'),
    case w.status when 'PENDING' then now() end, w.idempotency_key, w.input_hash
  from wanted w
  -- Keys in one order, so that two batches that share some cannot deadlock.
  order by w.idempotency_key, w.id
  on conflict (idempotency_key) do nothing
  returning id, status, created_at, run_at, expires_at, nextval('task_events_seq_seq') as first_seq,
    case status when 'PENDING' then nextval('task_events_seq_seq') end as second_seq
),
-- Its rows are not read back: their numbers are known before they are written.
history as (
  insert into task_events (task_id, version, seq, status, previous_status, attempt)
  select i.id, 1, i.first_seq, 'NEW'::task_status, null::task_status, 0 from inserted i
  union all
  select i.id, 2, i.second_seq, 'PENDING', 'NEW', 0 from inserted i where i.second_seq is not null
)
select
  i.id, i.status, i.created_at as "createdAt", i.run_at as "runAt", i.expires_at as "expiresAt",
  i.first_seq as "firstSeq", i.second_seq as "secondSeq"
from inserted i`,
};

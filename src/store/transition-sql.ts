import { FINAL_STATUSES, isFinal, type TaskStatus } from '../domain/task.ts';
import type { Transition } from '../domain/transitions.ts';
import { NO_HANDLER_FOR, SHUT_DOWN_BEFORE } from '../domain/unseen-reasons.ts';
import type { Statement } from './sql.ts';
import { TASK_COLUMNS } from './task-rows.ts';

/** The SQL types of what a transition may say for itself: columns of `wanted`. */
export const GIVEN_TYPES = {
  from_version: 'int',
  run_after_ms: 'float8',
  worker_id: 'uuid',
  result: 'jsonb',
  error: 'jsonb',
  reason: 'text',
} as const;

export type Given = keyof typeof GIVEN_TYPES;

/** What transitions of one kind have in common, and so is part of the text of their statement. */
export interface TransitionKind {
  guard: Pick<Transition['guard'], 'status' | 'due' | 'deadline'>;
  patch: Pick<Transition['patch'], 'status' | 'attemptDelta' | 'renew' | 'workerDeaths' | 'unseen'>;
  outcome: Transition['outcome'];
  /** What each of them says for itself. */
  given: readonly Given[];
  /** The caller knows the task, and is told what may have become of it since. */
  isKnown: boolean;
}

/**
 * The statement that applies transitions of one kind, given as a JSON array of `{ id, ordinal, …given }`, each of which
 * changes its task if its guard holds, and writes the event. It says and writes no more than this kind needs: half of what
 * one for all kinds takes is for what most of them leave as it is.
 *
 * What follows from the new status alone is decided here, and only here.
 *
 * @param lock how to lock the rows
 */
export function transitionSql(
  kind: TransitionKind,
  lock: 'for update' | 'for update skip locked',
): Statement['text'] {
  const { patch, given, isKnown } = kind;
  const types = given.map((name) => `, ${name} ${GIVEN_TYPES[name]}`).join('');
  const changes = changesOf(kind);
  const event = eventOf(kind);
  const news = [...new Set([...Object.keys(changes), ...CHANGE_BY_THEMSELVES])];
  const kept = isKnown ? [...new Set([...news, 'id', 'attempt'])] : ['*'];
  const setList = Object.entries(changes).map(([column, value]) => `${column} = ${value}`);
  // `locked` takes the rows in the order of their ids, so that two batches cannot deadlock, and sees each row as its
  // latest committed version. Each is looked up by its id, whatever the planner believes: a plan that was made for a
  // small table would else read it from end to end for every batch until somebody analyses it. And the guard compares
  // the status as text: an index on status must not serve it, or the whole backlog is read.
  return `
with wanted as (
  select * from jsonb_to_recordset($1::jsonb) as w(id uuid, ordinal int${types})
),
locked as (
  select w.*, t.previous_status, t.previous_worker_id
  from (select * from wanted order by id) w
  cross join lateral (
    select t.status as previous_status, t.worker_id as previous_worker_id
    from tasks t
    where t.id = w.id and ${conditionsOf(kind).join(' and ')}
    ${lock}
  ) t
),
changed as (
  update tasks t
  set ${setList.join(', ')}
  from locked l
  where t.id = l.id and t.id = any (array(select id from locked))
  returning ${kept.map((column) => `t.${column}`).join(', ')}, l.ordinal, l.previous_status,
    nextval('task_events_seq_seq') as event_seq, now()::timestamptz(3) as event_at,
    ${event.outcome} as event_outcome, ${event.workerId} as event_worker_id,
    ${event.reason} as event_reason, ${event.error} as event_error
),
-- Its rows are not read back: to join them with their tasks took longer than the rest, in a batch of hundreds.
history as (
  insert into task_events (task_id, version, seq, status, previous_status, attempt, at, reason, outcome, worker_id, error)
  select
    t.id, t.version, t.event_seq, '${patch.status}', t.previous_status, t.attempt, t.event_at, t.event_reason,
    t.event_outcome, t.event_worker_id, t.event_error
  from changed t
)
select
  t.ordinal, t.event_seq as seq, t.event_at as at, t.previous_status as "previousStatus", t.event_outcome as outcome,
  t.event_worker_id as "eventWorkerId", ${isKnown ? news.map(underItsName).join(', ') : TASK_COLUMNS}
from changed t`;
}

function conditionsOf({ guard, given }: TransitionKind): string[] {
  const { status, due, deadline } = guard;
  const isExpired = 't.started_at is null and t.expires_at is not null and t.expires_at <= now()';
  return [
    `t.status::text in (${status.map((one) => `'${one}'`).join(', ')})`,
    ...(given.includes('from_version') ? ['t.version = w.from_version'] : []),
    ...(due ? [`(t.status <> 'NEW' or t.run_at <= now())`] : []),
    ...(deadline === 'MISSED' ? [isExpired] : []),
    ...(deadline === 'MET' ? [`not (${isExpired})`] : []),
  ];
}

/** What a transition of this kind sets: columns of the task and their values. */
function changesOf({ guard, patch, given }: TransitionKind): Record<string, string> {
  const { status: to, attemptDelta, renew, workerDeaths, unseen } = patch;
  const leaves = (some: readonly TaskStatus[]) => guard.status.some((one) => some.includes(one));
  return {
    status: `'${to}'`,
    version: 't.version + 1',
    ...(attemptDelta && { attempt: `t.attempt + (${attemptDelta})` }),
    ...(renew && {
      max_attempts: 't.max_attempts + t.attempt_budget',
      worker_deaths: '0',
      expires_at: 'null',
    }),
    ...(workerDeaths && { worker_deaths: `t.worker_deaths + ${workerDeaths}` }),
    // The claim has put its own time in place of that of the run before, if there was one that a handler saw.
    ...(unseen && { started_at: LATEST_SEEN_RUN }),
    ...(given.includes('run_after_ms') && {
      run_at: `now() + l.run_after_ms * interval '1 ms'`,
    }),
    ...(to === 'PENDING' && { queued_at: 'now()' }),
    ...(to === 'IN_PROGRESS' && {
      started_at: 'now()',
      worker_id: 'l.worker_id',
      progress: 'null',
      progress_message: 'null',
    }),
    ...(leaves(['IN_PROGRESS']) && { worker_id: 'null' }),
    ...(isFinal(to) && { finished_at: 'now()' }),
    ...(leaves(FINAL_STATUSES) && { finished_at: 'null' }),
    ...(to === 'COMPLETED' && { progress: 'case when t.progress is not null then 1 end' }),
    ...(given.includes('result') && { result: 'l.result' }),
    ...(given.includes('error') && { error: 'l.error' }),
  };
}

const LATEST_SEEN_RUN = `(
    select max(begun.at)
    from task_events begun
    join task_events ended on ended.task_id = begun.task_id and ended.version = begun.version + 1
    where begun.task_id = t.id and begun.status::text = 'IN_PROGRESS'
      and ended.reason is distinct from '${NO_HANDLER_FOR}' || t.type || '.'
      and ended.reason is distinct from '${SHUT_DOWN_BEFORE}'
  )`;

/** What the event of a transition says beyond what its task does. */
function eventOf({ outcome, given }: TransitionKind) {
  const ended = outcome === undefined ? 'null' : `'${outcome}'`;
  return {
    outcome: `(case when l.previous_status = 'IN_PROGRESS' then ${ended} end)::attempt_outcome`,
    workerId: given.includes('worker_id') ? 'l.worker_id' : 'l.previous_worker_id',
    reason: given.includes('reason') ? 'l.reason' : 'null::text',
    error: given.includes('error') ? 'l.error' : 'null::jsonb',
  };
}

/** Columns that change while the version stays as it is. */
const CHANGE_BY_THEMSELVES = ['progress', 'progress_message'];

/** A column under its name in `Task`. */
function underItsName(name: string): string {
  return `t.${name} as "${name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())}"`;
}

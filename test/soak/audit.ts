import type { Pool } from 'pg';
import type { TaskStatus } from '../../src/domain/task.ts';
import { TRANSITIONS } from '../support/transition-table.ts';

/** What has become of the tasks, by the database. */
export interface Audit {
  /** All that are stored: also those whose acknowledgement got lost. */
  stored: number;
  byStatus: Readonly<Record<TaskStatus, number>>;
  /** Acknowledged, and not there. */
  lost: string[];
  /** Not final. */
  stranded: string[];
  /** Completed more than once without a retry in between. */
  completedTwice: string[];
  /** Whatever else breaks the contract, in words. */
  breaches: string[];
}

export interface Promised {
  acknowledged: ReadonlySet<string>;
  /** Acknowledged cancels: each must be in the history. */
  cancelled: ReadonlySet<string>;
  /** Acknowledged retries: each must be in the history. */
  retried: ReadonlySet<string>;
}

interface Row {
  id: string;
  status: TaskStatus;
  version: number;
  attempt: number;
  history: Step[];
}

interface Step {
  version: number;
  status: TaskStatus;
  from: TaskStatus | null;
  outcome: string | null;
}

const FINAL: readonly TaskStatus[] = ['COMPLETED', 'FAILED', 'CANCELLED'];

/** How many tasks are not final yet. */
export async function countOpen(sql: Pool): Promise<number> {
  const text = `select count(*)::int as open from tasks where status in ('NEW', 'PENDING', 'IN_PROGRESS')`;
  const { rows } = await sql.query<{ open: number }>(text);
  return rows[0]?.open ?? 0;
}

/** Checks every task and every step of its history against the contract. */
export async function audit(sql: Pool, promised: Promised): Promise<Audit> {
  const { rows } = await sql.query<Row>(HISTORIES);
  const stored = new Map(rows.map((row) => [row.id, row]));
  const byStatus = { NEW: 0, PENDING: 0, IN_PROGRESS: 0, COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
  for (const { status } of rows) byStatus[status] += 1;
  return {
    stored: rows.length,
    byStatus,
    lost: [...promised.acknowledged].filter((id) => !stored.has(id)),
    stranded: rows.filter(({ status }) => !FINAL.includes(status)).map(inWords),
    completedTwice: rows.filter(({ history }) => mostCompletions(history) > 1).map(inWords),
    breaches: [
      ...rows.flatMap(breachesOf),
      ...missing('cancel', promised.cancelled, stored, ({ status }) => status === 'CANCELLED'),
      ...missing('retry', promised.retried, stored, isRetry),
    ],
  };
}

const HISTORIES = `
select t.id, t.status, t.version, t.attempt,
  (
    select jsonb_agg(
      jsonb_build_object('version', e.version, 'status', e.status, 'from', e.previous_status, 'outcome', e.outcome)
      order by e.version
    )
    from task_events e where e.task_id = t.id
  ) as history
from tasks t`;

function breachesOf(row: Row): string[] {
  const { history, status, version, attempt } = row;
  const last = history.at(-1);
  const runs = history.filter((step) => step.status === 'IN_PROGRESS').length;
  const released = history.filter(({ outcome }) => outcome === 'RELEASED').length;
  return [
    ...(history.every((step, index) => step.version === index + 1) ? [] : ['has a gap']),
    ...(history.every((step, index) => isAllowed(step, history[index - 1]))
      ? []
      : ['made a move that is not allowed']),
    ...(last?.status === status && last.version === version
      ? []
      : [`is ${status} in version ${version}, unlike its history`]),
    ...(runs - released === attempt ? [] : [`counts ${attempt} attempts`]),
  ].map((breach) => `${breach}: ${inWords(row)}`);
}

/** By the table that the tests of the state machine are held against. */
function isAllowed(step: Step, before: Step | undefined): boolean {
  if (before === undefined) return step.from === null && step.status === 'NEW';
  if (step.from !== before.status) return false;
  return Object.values(TRANSITIONS).some(
    ({ from, to }) => to === step.status && from.includes(before.status),
  );
}

/** The most that any round, from one retry to the next, has. */
function mostCompletions(history: readonly Step[]): number {
  const rounds = [0];
  for (const step of history) {
    if (isRetry(step)) rounds.push(0);
    if (step.status === 'COMPLETED') rounds.push((rounds.pop() ?? 0) + 1);
  }
  return Math.max(...rounds);
}

function isRetry({ status, from }: Step): boolean {
  return status === 'NEW' && (from === 'FAILED' || from === 'CANCELLED');
}

function missing(
  what: string,
  ids: ReadonlySet<string>,
  stored: ReadonlyMap<string, Row>,
  isIt: (step: Step) => boolean,
): string[] {
  return [...ids]
    .filter((id) => !stored.get(id)?.history.some(isIt))
    .map((id) => `an acknowledged ${what} did not happen: ${id}`);
}

function inWords({ id, history }: Row): string {
  const steps = history.map(({ status, outcome }) => (outcome ? `${status} (${outcome})` : status));
  return `${id}: ${steps.join(', ')}`;
}

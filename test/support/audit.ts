import type { Pool } from 'pg';
import type { TaskStatus } from '../../src/domain/task.ts';
import {
  contractBreaches,
  inWords,
  isRetry,
  mostCompletions,
  STORED_TASKS,
  type StoredEvent,
  type StoredTask,
} from './histories.ts';

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
  /** All ways in which the contract is broken, in words; those above are among them if they show in a history. */
  breaches: string[];
}

export interface Promised {
  acknowledged: ReadonlySet<string>;
  /** Acknowledged cancels: each must be in the history. */
  cancelled: ReadonlySet<string>;
  /** Acknowledged retries: each must be in the history. */
  retried: ReadonlySet<string>;
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
  const { rows } = await sql.query<StoredTask>(STORED_TASKS);
  const stored = new Map(rows.map((task) => [task.id, task]));
  const byStatus = { NEW: 0, PENDING: 0, IN_PROGRESS: 0, COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
  for (const { status } of rows) byStatus[status] += 1;
  return {
    stored: rows.length,
    byStatus,
    lost: [...promised.acknowledged].filter((id) => !stored.has(id)),
    stranded: rows.filter(({ status }) => !FINAL.includes(status)).map(inWords),
    completedTwice: rows.filter(({ history }) => mostCompletions(history) > 1).map(inWords),
    breaches: [
      ...rows.flatMap(contractBreaches),
      ...missing('cancel', promised.cancelled, stored, ({ status }) => status === 'CANCELLED'),
      ...missing('retry', promised.retried, stored, isRetry),
    ],
  };
}

function missing(
  what: string,
  ids: ReadonlySet<string>,
  stored: ReadonlyMap<string, StoredTask>,
  isIt: (event: StoredEvent) => boolean,
): string[] {
  return [...ids]
    .filter((id) => !stored.get(id)?.history.some(isIt))
    .map((id) => `an acknowledged ${what} did not happen: ${id}`);
}

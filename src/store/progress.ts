import type { TaskProgress } from '../domain/task.ts';
import type { Claim } from '../domain/transitions.ts';
import type { Sql, Statement } from './sql.ts';

/** What a run says about itself. */
export interface ProgressReport {
  readonly claim: Claim;
  /** 0 to 1 */
  readonly progress: number;
  readonly message: string | null;
}

/**
 * Stores how far runs are, in one statement. Not a change of status: no version, no event.
 *
 * @param reports at most one per claim
 * @returns what was stored, in any order: nothing for a run whose claim is lost
 */
export async function storeProgress(
  sql: Sql,
  reports: readonly ProgressReport[],
): Promise<TaskProgress[]> {
  if (reports.length === 0) return [];
  const wanted = reports.map(({ claim, progress, message }) => ({
    id: claim.taskId,
    version: claim.version,
    progress,
    message,
  }));
  return sql.run<TaskProgress>(STORE, [JSON.stringify(wanted)]);
}

const STORE: Statement = {
  name: 'store_progress',
  // As in `transition-sql.ts`: `locked` takes the rows in the order of their ids, so that no two statements deadlock, and
  // the status is compared as text, so that an index on status does not serve it.
  text: `
with wanted as (
  select * from jsonb_to_recordset($1::jsonb) as w(id uuid, version int, progress float8, message text)
),
locked as (
  select w.*
  from wanted w
  join tasks t on t.id = w.id
  where t.version = w.version and t.status::text = 'IN_PROGRESS'
  order by t.id
  for update of t
)
update tasks t
set progress = l.progress, progress_message = l.message
from locked l
where t.id = l.id
returning t.id as "taskId", t.version, t.attempt, t.progress, t.progress_message as message, now() as at`,
};

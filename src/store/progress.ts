import type { Claim } from '../domain/transitions.ts';
import type { Sql, Statement } from './sql.ts';

/** Stores how far a run is, unless its claim is lost. Not a change of status: no version, no event. */
export async function storeProgress(
  sql: Sql,
  claim: Claim,
  progress: { fraction: number; message: string | null },
): Promise<void> {
  await sql.run(STORE, [claim.taskId, claim.version, progress.fraction, progress.message]);
}

const STORE: Statement = {
  name: 'store_progress',
  text: `
update tasks
set progress = $3, progress_message = $4
where id = $1 and version = $2 and status::text = 'IN_PROGRESS'`,
};

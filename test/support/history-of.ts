import type { TaskChange } from '../../src/domain/task.ts';
import { changesOfEach } from '../../src/store/event-queries.ts';
import type { Sql } from '../../src/store/sql.ts';

/** All that happened to a task; 500 changes at most. */
export async function historyOf(sql: Sql, taskId: string): Promise<TaskChange[]> {
  const [history = []] = await changesOfEach(sql, [{ taskId, version: 0 }]);
  return history;
}

import type { TaskPriority, TaskStatus } from '../../src/domain/task.ts';
import type { Followed } from './follow-stream.ts';
import type { Ledger } from './ledger.ts';
import type { Watched, WatchedFilter } from './watchers.ts';

/** A change as the database has it. */
export interface Happened {
  taskId: string;
  version: number;
  status: TaskStatus;
  priority: TaskPriority;
  type: string;
}

/** All changes after the first of this task, up to its last. */
export async function changesAround({ sql }: Ledger, taskId: string): Promise<Happened[]> {
  const text = `
select e.task_id as "taskId", e.version, e.status, t.priority, t.type
from task_events e
join tasks t on t.id = e.task_id
join (select min(seq) as first, max(seq) as last from task_events where task_id = $1) b
  on e.seq > b.first and e.seq <= b.last
order by e.seq`;
  return (await sql.query<Happened>(text, [taskId])).rows;
}

/**
 * Where what a subscriber saw differs from what happened, as `task:version`; nothing anywhere when it does not. One who
 * watched a task from some version on is owed all from there.
 */
export function flawsOf(
  { watched, seen }: Pick<Followed, 'watched' | 'seen'>,
  happened: readonly Happened[],
) {
  const counts = new Map<string, number>();
  const newest = new Map<string, number>();
  const outOfOrder: string[] = [];
  for (const change of seen) {
    const { taskId, version } = change;
    const count = (counts.get(nameOf(change)) ?? 0) + 1;
    counts.set(nameOf(change), count);
    const before = newest.get(taskId) ?? 0;
    if (count === 1 && version < before) outOfOrder.push(nameOf(change));
    newest.set(taskId, Math.max(version, before));
  }
  const since = 'id' in watched ? (seen[0]?.version ?? 1) : 1;
  const owed = new Set(
    happened
      .filter((change) => change.version >= since && matches(watched, change))
      .map((change) => nameOf(change)),
  );
  return {
    missing: shortened([...owed].filter((name) => !counts.has(name))),
    duplicated: shortened([...counts].filter(([, count]) => count > 1).map(([name]) => name)),
    outOfOrder: shortened(outOfOrder),
    uncalledFor: shortened([...counts.keys()].filter((name) => !owed.has(name))),
  };
}

export const FLAWLESS = { missing: [], duplicated: [], outOfOrder: [], uncalledFor: [] };

function shortened(names: readonly string[]): string[] {
  return names.length <= 10 ? [...names] : [...names.slice(0, 10), `and ${names.length - 10} more`];
}

function nameOf({ taskId, version }: { taskId: string; version: number }): string {
  return `${taskId}:${version}`;
}

function matches(watched: Watched, change: Happened): boolean {
  if ('id' in watched) return change.taskId === watched.id;
  const { taskId, ...fields } = change;
  const values: Record<keyof WatchedFilter, string> = { ...fields, ids: taskId };
  const { ids = [values.ids], status = [values.status] } = watched.filter;
  const { priority = [values.priority], type = [values.type] } = watched.filter;
  return (
    ids.includes(values.ids) &&
    status.includes(values.status) &&
    priority.includes(values.priority) &&
    type.includes(values.type)
  );
}

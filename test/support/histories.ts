import type { AttemptOutcome, TaskPriority, TaskStatus } from '../../src/domain/task.ts';
import { TRANSITIONS } from './transition-table.ts';

/** One event of a task's history. */
export interface StoredEvent {
  version: number;
  status: TaskStatus;
  previousStatus: TaskStatus | null;
  attempt: number;
  at: string;
  outcome: AttemptOutcome | null;
  workerId: string | null;
}

/** A task with all its events, as the database has them. */
export interface StoredTask {
  id: string;
  priority: TaskPriority;
  status: TaskStatus;
  attempt: number;
  version: number;
  workerId: string | null;
  startedAt: Date | null;
  finishedAt: Date | null;
  history: StoredEvent[];
}

/** Selects StoredTasks from `tasks t`; a `where` or an order may follow. */
export const STORED_TASKS = `
select t.id, t.priority, t.status, t.attempt, t.version, t.worker_id as "workerId", t.started_at as "startedAt",
  t.finished_at as "finishedAt",
  array(
    select jsonb_build_object(
      'version', e.version, 'status', e.status, 'previousStatus', e.previous_status, 'attempt', e.attempt,
      'at', e.at, 'outcome', e.outcome, 'workerId', e.worker_id
    )
    from task_events e where e.task_id = t.id order by e.version
  ) as history
from tasks t`;

/** How the task's history breaks the contract of DESIGN 2.3, in words; nothing when it does not. */
export function contractBreaches(task: StoredTask): string[] {
  const { history, status, version, attempt } = task;
  const last = history.at(-1);
  const runs = history.filter((event) => event.status === 'IN_PROGRESS').length;
  const released = history.filter(({ outcome }) => outcome === 'RELEASED').length;
  return [
    ...(history.every((event, index) => event.version === index + 1) ? [] : ['has a gap']),
    ...(history.every((event, index) => isAllowed(event, history[index - 1]))
      ? []
      : ['made a move that is not allowed']),
    ...(last?.status === status && last.version === version
      ? []
      : [`is ${status} in version ${version}, unlike its history`]),
    ...(runs - released === attempt ? [] : [`counts ${attempt} attempts`]),
    ...(mostCompletions(history) > 1 ? ['completed twice'] : []),
  ].map((breach) => `${breach}: ${inWords(task)}`);
}

/** By the table that the tests of the state machine are held against. */
function isAllowed(event: StoredEvent, before: StoredEvent | undefined): boolean {
  if (before === undefined) return event.previousStatus === null && event.status === 'NEW';
  if (event.previousStatus !== before.status) return false;
  return Object.values(TRANSITIONS).some(
    ({ from, to }) => to === event.status && from.includes(before.status),
  );
}

/** The most that any round, from one retry to the next, has. */
export function mostCompletions(history: readonly StoredEvent[]): number {
  const rounds = [0];
  for (const event of history) {
    if (isRetry(event)) rounds.push(0);
    if (event.status === 'COMPLETED') rounds.push((rounds.pop() ?? 0) + 1);
  }
  return Math.max(...rounds);
}

export function isRetry({ status, previousStatus }: StoredEvent): boolean {
  return status === 'NEW' && (previousStatus === 'FAILED' || previousStatus === 'CANCELLED');
}

export function inWords({ id, history }: StoredTask): string {
  const steps = history.map(({ status, outcome }) => (outcome ? `${status} (${outcome})` : status));
  return `${id}: ${steps.join(', ')}`;
}

import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { AttemptOutcome, TaskPriority, TaskStatus } from '../../src/domain/task.ts';

export interface StoredEvent {
  version: number;
  status: TaskStatus;
  previousStatus: TaskStatus | null;
  attempt: number;
  at: string;
  outcome: AttemptOutcome | null;
  workerId: string | null;
}

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

/** What PostgreSQL says, read past the service and past any proxy. */
export interface Ledger {
  /** All tasks, oldest first. */
  tasks(): Promise<StoredTask[]>;
  task(id: string): Promise<StoredTask>;
  count(status: TaskStatus): Promise<number>;
  /** Rows of the workers, oldest first. */
  workers(): Promise<{ id: string; pid: number; alive: boolean }[]>;
  /** The clock that all times in the database are of. */
  now(): Promise<Date>;
}

export function openLedger(url: string): Ledger {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  onTestFinished(() => pool.end());

  async function rows<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await pool.query<Row>(text, values)).rows;
  }

  async function one<Row extends object>(text: string, values: unknown[] = []): Promise<Row> {
    const [row] = await rows<Row>(text, values);
    if (row === undefined) throw new Error(`No row for ${JSON.stringify(values)}: ${text}`);
    return row;
  }

  return {
    tasks: () => rows(`${TASKS} order by t.id`),
    task: (id) => one(`${TASKS} where t.id = $1`, [id]),
    async count(status) {
      const text = 'select count(*)::int as count from tasks where status = $1';
      return (await one<{ count: number }>(text, [status])).count;
    },
    workers: () => rows('select id, pid, stopped_at is null as alive from workers order by id'),
    now: async () => (await one<{ now: Date }>('select now()')).now,
  };
}

const TASKS = `
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

/** DESIGN 2.3: "Nothing else, ever." */
const ALLOWED_MOVES: Record<TaskStatus, readonly TaskStatus[]> = {
  NEW: ['PENDING', 'IN_PROGRESS', 'CANCELLED'],
  PENDING: ['IN_PROGRESS', 'CANCELLED'],
  IN_PROGRESS: ['COMPLETED', 'FAILED', 'NEW', 'CANCELLED'],
  COMPLETED: [],
  FAILED: ['NEW'],
  CANCELLED: ['NEW'],
};

/** What in the histories breaks the contract, in words; nothing, when every task completed once and by the rules. */
export function breaches(tasks: readonly StoredTask[]): string[] {
  return tasks.flatMap((task) => {
    const { id, history, status, version } = task;
    const line = history.map((event) => `${event.version} ${event.status}`).join(', ');
    const completions = history.filter((event) => event.status === 'COMPLETED').length;
    return [
      ...(completions === 1 ? [] : [`${id} completed ${completions} times: ${line}`]),
      ...(history.every(isNextOf(history)) ? [] : [`${id} has a gap or a wrong move: ${line}`]),
      ...(history.length === version && history.at(-1)?.status === status
        ? []
        : [`${id} is ${status} in version ${version}, its history says: ${line}`]),
    ];
  });
}

function isNextOf(history: readonly StoredEvent[]) {
  return ({ version, status, previousStatus }: StoredEvent, index: number): boolean => {
    if (version !== index + 1) return false;
    const before = history[index - 1];
    if (before === undefined) return previousStatus === null && status === 'NEW';
    return before.status === previousStatus && ALLOWED_MOVES[before.status].includes(status);
  };
}

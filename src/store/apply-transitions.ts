import type { Task, TaskChange, TaskEvent } from '../domain/task.ts';
import type { Transition } from '../domain/transitions.ts';
import type { Request, Sql, Statement } from './sql.ts';
import { GIVEN_TYPES, type Given, transitionSql } from './transition-sql.ts';

/**
 * Applies each transition whose guard still holds, and writes its event: those of one kind in one statement.
 *
 * @param transitions at most one per task
 * @param options.skipLocked leaves out the rows that others hold right now, instead of waiting for them
 * @returns what happened, in the order of the input; undefined where the guard no longer held, or the row was left out
 */
export async function applyTransitions(
  sql: Sql,
  transitions: readonly Transition[],
  { skipLocked = false } = {},
): Promise<(TaskChange | undefined)[]> {
  const changes = new Array<TaskChange | undefined>(transitions.length).fill(undefined);
  const requests = byKind(transitions).map(({ statement, wanted }) => ({
    statement: skipLocked ? statement.toFree : statement.toAll,
    values: [JSON.stringify(wanted)],
  }));
  // Who waits for rows must not hold others meanwhile: two of them might wait for each other.
  const together = skipLocked ? runTogether : runApart;
  for (const rows of await together(sql, requests)) {
    for (const row of rows) {
      const transition = transitions[row.ordinal];
      if (transition !== undefined) changes[row.ordinal] = toChange(row, transition);
    }
  }
  return changes;
}

/** Several kinds share a round trip and a commit, either of which takes longer than what is done for one task. */
function runTogether(sql: Sql, requests: readonly Request[]): Promise<AppliedRow[][]> {
  if (sql.runTogether === undefined || requests.length < 2) return runApart(sql, requests);
  return sql.runTogether(requests) as Promise<AppliedRow[][]>;
}

async function runApart(sql: Sql, requests: readonly Request[]): Promise<AppliedRow[][]> {
  const answers: AppliedRow[][] = [];
  for (const { statement, values } of requests) answers.push(await sql.run(statement, values));
  return answers;
}

interface Batch {
  statement: KindStatement;
  wanted: Wanted[];
}

/** A transition as its statement takes it. What is undefined it does not say. */
type Wanted = { id: string; ordinal: number } & Record<Given, unknown>;

function byKind(transitions: readonly Transition[]): Batch[] {
  const batches = new Map<string, Batch>();
  transitions.forEach((transition, ordinal) => {
    const { taskId: id, guard, patch, reason } = transition;
    const given: Record<Given, unknown> = {
      from_version: guard.version,
      run_after_ms: patch.runAfterMs,
      worker_id: patch.workerId,
      result: patch.result,
      error: patch.error,
      reason,
    };
    const key = kindKey(transition, given);
    let batch = batches.get(key);
    if (batch === undefined) {
      batch = { statement: statementFor(key, transition, given), wanted: [] };
      batches.set(key, batch);
    }
    batch.wanted.push({ id, ordinal, ...given });
  });
  return [...batches.values()];
}

/** The same for all transitions of one kind, and for no others. */
function kindKey(transition: Transition, given: Record<Given, unknown>): string {
  const { guard, patch, outcome, known } = transition;
  let key = `${guard.status.join()} ${guard.due} ${guard.deadline} ${patch.status} ${patch.attemptDelta} ${patch.renew} ${patch.workerDeaths} ${patch.unseen} ${outcome} ${known !== undefined}`;
  for (const name of GIVEN_NAMES) key += given[name] === undefined ? ' -' : ' +';
  return key;
}

const GIVEN_NAMES = Object.keys(GIVEN_TYPES) as Given[];

interface KindStatement {
  toAll: Statement;
  /** Passes over rows that others hold. */
  toFree: Statement;
}

/** There are as many kinds as functions in `domain/transitions.ts`, and some more by what is known and left out. */
const statements = new Map<string, KindStatement>();

function statementFor(
  key: string,
  { guard, patch, outcome, known }: Transition,
  given: Record<Given, unknown>,
): KindStatement {
  const made = statements.get(key);
  if (made !== undefined) return made;
  const isKnown = known !== undefined;
  const named = GIVEN_NAMES.filter((name) => given[name] !== undefined);
  const kind = { guard, patch, outcome, isKnown, given: named };
  const name = `to_${patch.status.toLowerCase()}_${statements.size}`;
  const statement = {
    toAll: { name, text: transitionSql(kind, 'for update') },
    toFree: { name: `${name}_if_free`, text: transitionSql(kind, 'for update skip locked') },
  };
  statements.set(key, statement);
  return statement;
}

/** What is read back of a change. Of a task that is known only what may have become different is there. */
type AppliedRow = Partial<Task> &
  Pick<Task, 'status' | 'version' | 'progress' | 'progressMessage'> &
  Pick<TaskEvent, 'previousStatus' | 'at' | 'outcome'> & {
    ordinal: number;
    /** PostgreSQL's bigint, which node-pg leaves as text. */
    seq: string;
    eventWorkerId: string | null;
  };

function toChange(row: AppliedRow, { known, patch, reason, taskId }: Transition): TaskChange {
  const task = toTask(row, known);
  const event: TaskEvent = {
    taskId,
    version: task.version,
    seq: BigInt(row.seq),
    status: task.status,
    previousStatus: row.previousStatus,
    attempt: task.attempt,
    at: row.at,
    reason: reason ?? null,
    outcome: row.outcome,
    workerId: row.eventWorkerId,
    error: patch.error ?? null,
  };
  return { task, event };
}

/** Field by field: every change of every task comes this way, and to copy what is left of an object is slow. */
function toTask(row: AppliedRow, known: Task | undefined): Task {
  // Who knows nothing was told all.
  const old = known ?? (row as Task);
  return {
    id: old.id,
    title: old.title,
    description: old.description,
    priority: old.priority,
    status: row.status,
    type: old.type,
    payload: old.payload,
    result: row.result === undefined ? old.result : row.result,
    error: row.error === undefined ? old.error : row.error,
    attempt: row.attempt ?? old.attempt,
    maxAttempts: row.maxAttempts ?? old.maxAttempts,
    attemptBudget: old.attemptBudget,
    timeoutSeconds: old.timeoutSeconds,
    retry: old.retry,
    progress: row.progress,
    progressMessage: row.progressMessage,
    version: row.version,
    workerId: row.workerId === undefined ? old.workerId : row.workerId,
    createdAt: old.createdAt,
    runAt: row.runAt ?? old.runAt,
    expiresAt: row.expiresAt === undefined ? old.expiresAt : row.expiresAt,
    queuedAt: row.queuedAt === undefined ? old.queuedAt : row.queuedAt,
    startedAt: row.startedAt === undefined ? old.startedAt : row.startedAt,
    finishedAt: row.finishedAt === undefined ? old.finishedAt : row.finishedAt,
  };
}

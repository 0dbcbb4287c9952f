import type { Task } from '../domain/task.ts';
import type { Claim } from '../domain/transitions.ts';

/** Why a run is told to stop. */
export type AbortReason =
  /** A client cancelled the task: there is nothing left to settle. */
  | 'CANCELLED'
  /** The claim is gone, as when this worker was declared dead: there is nothing left to settle. */
  | 'LOST'
  /** It took longer than the task's `timeoutSeconds`. */
  | 'TIMED_OUT'
  /** The worker shuts down and gives the task back. */
  | 'SHUTDOWN';

/** What a handler's `signal.reason` is. */
export class RunAborted extends Error {
  override readonly name = 'RunAborted';
  readonly reason: AbortReason;

  constructor(reason: AbortReason) {
    super(`The run was aborted: ${reason}.`);
    this.reason = reason;
  }
}

/** One attempt in progress in this process. */
export interface Run extends Claim {
  readonly task: Task;
  readonly signal: AbortSignal;
  /** The first reason counts. */
  abort(reason: AbortReason): void;
  /** Why it was aborted; undefined while it is not. */
  abortReason(): AbortReason | undefined;
}

export function createRun(task: Task): Run {
  const controller = new AbortController();
  let aborted: AbortReason | undefined;
  return {
    taskId: task.id,
    version: task.version,
    task,
    signal: controller.signal,
    abort(reason) {
      aborted ??= reason;
      controller.abort(new RunAborted(aborted));
    },
    abortReason: () => aborted,
  };
}

/** The attempts in progress in this process, by task. */
export interface Runs {
  add(run: Run): void;
  remove(run: Run): void;
  get(taskId: string): Run | undefined;
  all(): Run[];
  /** Aborts all runs, and each that is still to come. */
  shutDown(): void;
  shuttingDown(): boolean;
  /** It has been shutting down for so long that what is not settled yet has to be left to others. */
  outOfTime(): boolean;
}

/** How long a worker that goes keeps trying to store how its runs went, and then to give back what it still holds. */
const SETTLE_WITHIN_MS = 8_000;

export function createRuns(): Runs {
  const runs = new Map<string, Run>();
  let shuttingDownSince: number | undefined;
  return {
    add(run) {
      // Two of one task: the claim of the earlier one is gone, and nobody else could tell it so any more.
      runs.get(run.taskId)?.abort('LOST');
      runs.set(run.taskId, run);
      if (shuttingDownSince !== undefined) run.abort('SHUTDOWN');
    },
    remove(run) {
      if (runs.get(run.taskId) === run) runs.delete(run.taskId);
    },
    get: (taskId) => runs.get(taskId),
    all: () => [...runs.values()],
    shutDown() {
      shuttingDownSince ??= performance.now();
      for (const run of runs.values()) run.abort('SHUTDOWN');
    },
    shuttingDown: () => shuttingDownSince !== undefined,
    outOfTime: () =>
      shuttingDownSince !== undefined && performance.now() - shuttingDownSince > SETTLE_WITHIN_MS,
  };
}

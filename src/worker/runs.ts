import type { Task } from '../domain/task.ts';
import type { Claim } from '../domain/transitions.ts';

/** Why a run is told to stop. */
export type AbortReason =
  /** A client cancelled the task: there is nothing left to settle. */
  | 'CANCELLED'
  /** The claim is gone, because this worker was declared dead: there is nothing left to settle. */
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
}

export function createRuns(): Runs {
  const runs = new Map<string, Run>();
  let shuttingDown = false;
  return {
    add(run) {
      runs.set(run.taskId, run);
      if (shuttingDown) run.abort('SHUTDOWN');
    },
    remove(run) {
      if (runs.get(run.taskId) === run) runs.delete(run.taskId);
    },
    get: (taskId) => runs.get(taskId),
    all: () => [...runs.values()],
    shutDown() {
      shuttingDown = true;
      for (const run of runs.values()) run.abort('SHUTDOWN');
    },
    shuttingDown: () => shuttingDown,
  };
}

import type { Logger } from 'pino';
import type { Task, TaskPriority } from '../domain/task.ts';
import type { TaskType } from '../domain/task-types.ts';

/**
 * How one type of task is run. A run may happen again after a crash, so a handler should be idempotent: `task.id` is
 * the same in every attempt.
 */
export interface TaskHandler extends TaskType {
  /**
   * Does the work. What it returns is stored as the task's `result` (any JSON; undefined becomes null); what it throws
   * fails the attempt, which is repeated with a growing delay until the attempts are used up. Throw `DoNotRetry` to
   * fail the task at once.
   */
  run(context: RunContext): Promise<unknown>;
}

export interface RunContext {
  readonly task: RunningTask;
  /**
   * Fires when the task is cancelled, runs out of time, is lost to another worker, or the worker shuts down. Whoever
   * stops for it throws: what a handler returns is its result, also after a shutdown has begun.
   */
  readonly signal: AbortSignal;
  /**
   * Tells clients how far it is. Costs nothing to call often: it is stored five times a second at most, and the last
   * one always. @param fraction 0 to 1 @param message what it is doing, cut after 10,000 characters
   */
  progress(fraction: number, message?: string): void;
  /** A logger that names the task. */
  readonly log: Logger;
}

/** What a handler gets to see of its task. */
export type RunningTask = Readonly<
  Pick<Task, 'id' | 'title' | 'description' | 'type' | 'payload' | 'attempt' | 'maxAttempts'>
> & { readonly priority: TaskPriority };

/** All handlers of a worker, by task type. */
export type TaskHandlers = Readonly<Record<string, TaskHandler>>;

/** Thrown by a handler: this will never succeed, so the task becomes FAILED whatever attempts are left. */
export class DoNotRetry extends Error {
  override readonly name = 'DoNotRetry';
}

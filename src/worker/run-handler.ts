import { inspect } from 'node:util';
import type { Logger } from 'pino';
import { storableText, toJson } from '../domain/json.ts';
import type { Json, TaskError } from '../domain/task.ts';
import type { Failure } from '../domain/transitions.ts';
import { DoNotRetry, type RunContext, type TaskHandler } from './handler.ts';
import type { Run } from './runs.ts';

/**
 * How a handler's run went. `ABANDONED`: it was told to stop, and there is nothing to say about it. `UNSEEN`: it did not
 * begin, since the worker shuts down. `UNKNOWN`: this worker has no handler for the type.
 */
export type RunResult =
  | { kind: 'RETURNED'; result: Json }
  | { kind: 'FAILED'; failure: Failure; retryable: boolean }
  | { kind: 'ABANDONED' }
  | { kind: 'UNSEEN' }
  | { kind: 'UNKNOWN' };

/** How long an aborted handler may take to come back before its slot is freed without it. */
const ABORT_GRACE_MS = 5_000;

/** Runs the handler, watches its time, and puts what comes of it into words. Never throws. */
export async function runHandler(
  run: Run,
  handler: TaskHandler | undefined,
  context: Pick<RunContext, 'progress' | 'log'>,
): Promise<RunResult> {
  const { task, signal } = run;
  if (signal.aborted) return run.abortReason() === 'SHUTDOWN' ? { kind: 'UNSEEN' } : aborted(run);
  if (handler === undefined) return { kind: 'UNKNOWN' };
  const timer =
    task.timeoutSeconds === null
      ? undefined
      : setTimeout(() => run.abort('TIMED_OUT'), task.timeoutSeconds * 1_000);
  try {
    const returned = handler.run({ task, signal, ...context });
    const result = toJson(await untilAborted(returned, run, context.log));
    const reason = run.abortReason();
    // A worker that shuts down still keeps what was finished in time.
    return reason === undefined || reason === 'SHUTDOWN'
      ? { kind: 'RETURNED', result }
      : aborted(run);
  } catch (error) {
    return run.abortReason() === undefined ? failed(run, error) : aborted(run);
  } finally {
    clearTimeout(timer);
  }
}

/** The handler's own end, or, some time after an abort, the loss of patience with it. */
async function untilAborted(returned: Promise<unknown>, run: Run, log: Logger): Promise<unknown> {
  const patience = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => {
      log.error('the handler ignores its signal; its slot is freed, its result will not count');
      patience.reject(run.signal.reason);
    }, ABORT_GRACE_MS);
  };
  run.signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([returned, patience.promise]);
  } finally {
    run.signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

function aborted(run: Run): RunResult {
  if (run.abortReason() !== 'TIMED_OUT') return { kind: 'ABANDONED' };
  const error = {
    name: 'TimedOut',
    message: `Took longer than ${run.task.timeoutSeconds} s.`,
    stack: null,
    attempt: run.task.attempt,
  };
  return { kind: 'FAILED', failure: { error, outcome: 'TIMED_OUT' }, retryable: true };
}

function failed(run: Run, thrown: unknown): RunResult {
  return {
    kind: 'FAILED',
    failure: { error: toTaskError(thrown, run.task.attempt), outcome: 'FAILED' },
    retryable: !isNotToBeRetried(thrown),
  };
}

function isNotToBeRetried(thrown: unknown): boolean {
  try {
    return thrown instanceof DoNotRetry;
  } catch {
    return false;
  }
}

const MAX_MESSAGE = 10_000;

/** Whatever was thrown, as it can be stored. */
function toTaskError(thrown: unknown, attempt: number): TaskError {
  try {
    const { name, message, stack } = thrown instanceof Error ? thrown : new Error(describe(thrown));
    return {
      name: storableText(String(name), MAX_MESSAGE),
      message: storableText(String(message), MAX_MESSAGE),
      stack: stack === undefined ? null : storableText(String(stack), MAX_MESSAGE),
      attempt,
    };
  } catch {
    // To look at it runs code of its own: a getter, a proxy, its way of being inspected.
    const message = 'The handler threw something that cannot be described.';
    return { name: 'Error', message, stack: null, attempt };
  }
}

function describe(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 1 });
}

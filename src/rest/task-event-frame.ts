import type { Logger } from 'pino';
import { AppError, type TaskErrorCode } from '../domain/errors.ts';
import type { StreamedChange } from '../tasks/cursor.ts';
import { problemOf } from './answer-error.ts';
import { toTaskEventJson } from './task-event-json.ts';

/**
 * Comes first: how many milliseconds `EventSource` waits before it connects again, and where it resumes if it has to before
 * it has seen any event.
 */
export function firstFrame(start: string | undefined): string {
  return start === undefined ? 'retry: 1000\n\n' : `retry: 1000\nid: ${start}\n\n`;
}

/** Makes changes into server-sent events: each once for all who are told of it. */
export function createTaskEventFraming(): (change: StreamedChange) => Buffer {
  const frames = new WeakMap<StreamedChange, Buffer>();
  return (change) => {
    const frame = frames.get(change) ?? Buffer.from(taskEventFrame(toTaskEventJson(change)));
    frames.set(change, frame);
    return frame;
  };
}

/** It has no `event:`, so that it arrives at `onmessage`. */
export function taskEventFrame(json: { cursor: string }): string {
  return `id: ${json.cursor}\ndata: ${JSON.stringify(json)}\n\n`;
}

/**
 * What is said before a stream ends: nothing when it is over, the problem as an event `lagged` or `expired` when the
 * reader fell too far behind or what it has to read was deleted. That has no `id` and so leaves `EventSource` with the one
 * to resume from, or to be refused. Whatever else ended it is logged, and undefined: the stream is to be cut.
 */
export function lastFrame(
  error: Error | undefined,
  log: Pick<Logger, 'error'>,
): string | undefined {
  if (error === undefined) return '';
  const name = error instanceof AppError ? NAME_BY_CODE[error.code] : undefined;
  if (name !== undefined) return `event: ${name}\ndata: ${JSON.stringify(problemOf(error))}\n\n`;
  log.error({ err: error }, 'a stream of events failed');
  return undefined;
}

const NAME_BY_CODE: Partial<Record<TaskErrorCode, string>> = {
  LAGGED: 'lagged',
  CURSOR_EXPIRED: 'expired',
};

import { AppError } from '../domain/errors.ts';

/**
 * Waits for the database on behalf of a client, but not for ever: each step of a request has a limit of its own (a
 * place in a batch, a connection, each statement), and together they may exceed what a client is ready to wait.
 *
 * Work that has begun is not undone by it: its outcome is then unknown to the client, as when a connection breaks.
 * @param work is told by the signal that nobody waits any more
 * @param sentence for the client
 * @throws AppError SERVICE_UNAVAILABLE when the time is up
 */
export async function withDeadline<T>(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  sentence = TOO_LATE,
): Promise<T> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const cause = new Error(`No answer in ${limitMs} ms.`);
    const error = new AppError('SERVICE_UNAVAILABLE', sentence, { cause });
    controller.abort(error);
    late.reject(error);
  }, limitMs);
  try {
    return await Promise.race([work(controller.signal), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const TOO_LATE =
  'The service did not get an answer in time. It may have been done all the same: ask again with the same idempotency key, or look.';

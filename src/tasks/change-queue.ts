import { AppError } from '../domain/errors.ts';
import { cursorOf, type StreamedChange } from './cursor.ts';
import { createQueue, type Queue } from './queue.ts';

/** How far a reader may fall behind. */
const LIMIT = 1_000;

/**
 * The changes that one subscriber has yet to read. One that falls more than `limit` behind is told so (`LAGGED`), and
 * from where to go on: after what it has read last, or else where it began.
 */
export function createChangeQueue(
  start: () => string | undefined,
  limit = LIMIT,
): Queue<StreamedChange> {
  return createQueue({
    limit,
    start,
    lagged(last) {
      const cursor = last === undefined ? start() : cursorOf(last);
      return new AppError(
        'LAGGED',
        `This subscriber fell more than ${limit} changes behind. Subscribe again with \`after\` set to the last cursor seen.`,
        { cursor },
      );
    },
  });
}

import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import type { TaskChange } from '../domain/task.ts';
import { matchesFilter, type TaskFilter } from '../domain/task-filter.ts';
import { matchingChangesWithin, PAGE } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import type { ChangeLog } from './change-log.ts';
import { type ChangeQueue, createChangeQueue } from './change-queue.ts';
import { decodeCursor, type StreamedChange } from './cursor.ts';
import { has, intersect, positionOf, type SeqSet, upTo, without } from './seq-set.ts';

/** How many live changes wait for a backfill to end. The database has them too. */
const MAX_HELD = 1_000;
/** How far one read of a backfill looks: bounds its work where hardly anything matches. */
const STRIDE = 50_000n;
/** How soon a read is tried again while the database is away. */
const RETRY_MS = 1_500;

/**
 * The changes of all tasks that match, each once and in order per task, from now on or from after a cursor.
 *
 * `unseen` is what this subscriber has yet to see; its cursors carry that from one stream to the next. What the change
 * log has told already is read from the database, page by page as the reader makes room. What it tells meanwhile is
 * held back and comes next. If that grows too long it is dropped, and the backfill goes on to where the log is by then:
 * who reads is never too slow for a long backfill.
 *
 * @throws AppError SERVICE_UNAVAILABLE; BAD_USER_INPUT for a bad cursor
 */
export async function watchTasks(
  { changeLog, sql }: { changeLog: ChangeLog; sql: Sql },
  filter: TaskFilter,
  after?: string | null,
): Promise<ChangeQueue> {
  const from = after == null ? undefined : decodeCursor(after).unseen;
  const queue = createChangeQueue();
  let isLive = false;
  let isOverrun = false;
  let held: Required<StreamedChange>[] = [];

  const membership = await changeLog.join(
    {
      onChange(change) {
        if (!matches(change)) return;
        if (isLive) deliver(change);
        else if (!isOverrun) hold(change);
      },
      ready: async () => !isLive || queue.room(PAGE),
    },
    from && positionOf(from),
  );
  let unseen = from ?? membership.unseen();
  queue.onClose(membership.leave);
  void catchUp().catch(queue.fail);
  return queue;

  async function catchUp() {
    do {
      // In one turn: what the log has told so far is read, what it tells from here on is held.
      isOverrun = false;
      held = [];
      await backfill(without(unseen, membership.unseen()));
      for (let next = held.shift(); next !== undefined; next = held.shift()) {
        if (!(await queue.room(1))) return;
        deliver(next);
      }
    } while (isOverrun && !queue.closed);
    isLive = true;
  }

  async function backfill(missed: SeqSet) {
    const before = unseen;
    let rest = missed;
    while (rest[0] !== undefined && (await queue.room(PAGE))) {
      const stretch = upTo(rest, rest[0].first + STRIDE);
      const changes = await read(stretch);
      for (const change of changes.filter(matches)) {
        queue.push({ ...change, unseen: without(before, upTo(missed, change.event.seq)) });
      }
      const last = changes.length === PAGE ? changes.at(-1)?.event.seq : stretch.at(-1)?.last;
      rest = without(rest, upTo(rest, last ?? 0n));
    }
    unseen = without(before, missed);
  }

  async function read(stretch: SeqSet): Promise<TaskChange[]> {
    while (!queue.closed) {
      try {
        return await matchingChangesWithin(sql, stretch, filter);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        await pause(RETRY_MS, undefined, { ref: false });
      }
    }
    return [];
  }

  function hold(change: Required<StreamedChange>) {
    if (held.push(change) <= MAX_HELD) return;
    held = [];
    isOverrun = true;
  }

  function deliver({ event, task, unseen: untold }: Required<StreamedChange>) {
    if (!has(unseen, event.seq)) return;
    unseen = intersect(unseen, untold);
    queue.push({ event, task, unseen });
  }

  /** What was read later shows the task as it is now; the filter is about the change. */
  function matches({ event, task }: TaskChange): boolean {
    return matchesFilter(filter, { ...task, status: event.status });
  }
}

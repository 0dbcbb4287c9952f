import { setTimeout as pause } from 'node:timers/promises';
import { cursorExpired, isUnavailable } from '../domain/errors.ts';
import type { TaskChange } from '../domain/task.ts';
import { eventHorizon, matchingChangesWithin, PAGE } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import type { Watcher } from './audience.ts';
import type { ChangeLog } from './change-log.ts';
import { createChangeQueue } from './change-queue.ts';
import { decodeCursor, type StreamedChange, startCursor } from './cursor.ts';
import type { Queue } from './queue.ts';
import type { Selection } from './selection.ts';
import { has, intersect, isSame, positionOf, type SeqSet, upTo, without } from './seq-set.ts';
import type { InTurn } from './turns.ts';

/** How many live changes wait for a backfill to end. The database has them too. */
const MAX_HELD = 1_000;
/** How far one read of a backfill looks: bounds its work where hardly anything matches. */
const STRIDE = 50_000n;
/** How soon a read is tried again while the database is away. */
const RETRY_MS = 1_500;

/**
 * The changes of all tasks that are selected, each once and in order per task, from now on or from after a cursor.
 *
 * `unseen` is what this subscriber has yet to see; its cursors carry that from one stream to the next. What the change
 * log has told already is read from the database, page by page as the reader makes room. What it tells meanwhile is
 * held back and comes next. If that grows too long it is dropped, and the backfill goes on to where the log is by then:
 * who reads is never too slow for a long backfill.
 *
 * @param options.inTurn for the reads of all who backfill, which must leave connections for others
 *
 * @throws AppError SERVICE_UNAVAILABLE; BAD_USER_INPUT for a bad cursor, CURSOR_EXPIRED for one that is too old
 */
export async function watchTasks(
  { changeLog, sql, inTurn }: { changeLog: ChangeLog; sql: Sql; inTurn: InTurn },
  selection: Selection,
  after?: string | null,
): Promise<Queue<StreamedChange>> {
  const from = after == null ? undefined : decodeCursor(after).unseen;
  if (from !== undefined) {
    await requireKept(sql, from).catch((error: unknown) => {
      // While the database is away nobody can tell. It is asked again with each page that is read.
      if (!isUnavailable(error)) throw error;
    });
  }
  const queue = createChangeQueue(() => start);
  let start = after ?? undefined;
  let isLive = false;
  let isOverrun = false;
  let held: LoggedChange[] = [];

  const membership = await changeLog.join(
    {
      selection,
      onChange(change) {
        if (isLive) deliver(change);
        else if (!isOverrun) hold(change);
      },
      isReady: () => !isLive || queue.closed || queue.fits(PAGE),
      ready: async () => !isLive || queue.room(PAGE),
    },
    from && positionOf(from),
  );
  let unseen = from ?? membership.unseen();
  start ??= startCursor(unseen);
  /** It has seen what the log has seen, and so it stays: it can share the log's own changes with all others. */
  let isLevel = false;
  queue.onClose(membership.leave);
  void catchUp().catch(queue.fail);
  return queue;

  async function catchUp() {
    do {
      // In one turn: what the log has told so far is read, what it tells from here on is held.
      isOverrun = false;
      held = [];
      await backfill(without(unseen, membership.unseen()));
      // With room for what may come at once: who goes live without would hold up the others from the start.
      do await deliverHeld();
      while ((await queue.room(PAGE)) && held.length > 0);
    } while (isOverrun && !queue.closed);
    isLive = true;
  }

  async function deliverHeld() {
    for (let next = held.shift(); next !== undefined; next = held.shift()) {
      if (!(await queue.room(1))) return;
      deliver(next);
    }
  }

  async function backfill(missed: SeqSet) {
    const before = unseen;
    let rest = missed;
    while (rest[0] !== undefined && (await queue.room(PAGE))) {
      const stretch = upTo(rest, rest[0].first + STRIDE);
      const changes = await read(stretch);
      for (const change of changes) {
        const selected = selection.select(change);
        if (selected === undefined) continue;
        queue.push({ ...selected, unseen: without(before, upTo(missed, change.event.seq)) });
      }
      const last = changes.length === PAGE ? changes.at(-1)?.event.seq : stretch.at(-1)?.last;
      rest = without(rest, upTo(rest, last ?? 0n));
    }
    unseen = without(before, missed);
  }

  async function read(stretch: SeqSet): Promise<TaskChange[]> {
    while (!queue.closed) {
      try {
        return await inTurn(() => readNow(stretch));
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        await pause(RETRY_MS, undefined, { ref: false });
      }
    }
    return [];
  }

  async function readNow(stretch: SeqSet): Promise<TaskChange[]> {
    // It may have left while it waited for its turn.
    if (queue.closed) return [];
    const changes = await matchingChangesWithin(sql, stretch, selection.filter);
    // Some may have been deleted before they were read.
    await requireKept(sql, stretch);
    return changes;
  }

  function hold(change: LoggedChange) {
    if (held.push(change) <= MAX_HELD) return;
    held = [];
    isOverrun = true;
  }

  function deliver(change: LoggedChange) {
    if (!isLevel && !has(unseen, change.event.seq)) return;
    unseen = isLevel ? change.unseen : intersect(unseen, change.unseen);
    isLevel ||= isSame(unseen, change.unseen);
    queue.push(isLevel ? change : { ...change, unseen });
  }
}

/**
 * What a transaction that was rolled back has left unseen counts as if it had been there: too careful by that much.
 * @throws AppError CURSOR_EXPIRED when some of these have been deleted
 */
async function requireKept(sql: Sql, [first]: SeqSet): Promise<void> {
  if (first !== undefined && first.first <= (await eventHorizon(sql))) throw cursorExpired();
}

type LoggedChange = Parameters<Watcher['onChange']>[0];

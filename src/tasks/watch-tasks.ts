import type { TaskChange } from '../domain/task.ts';
import { matchesFilter, type TaskFilter } from '../domain/task-filter.ts';
import type { Sql } from '../store/database.ts';
import { changesAfter, newestSeq } from '../store/event-queries.ts';
import { type ChangeQueue, createChangeQueue } from './change-queue.ts';
import { decodeCursor } from './cursor.ts';
import type { EventHub } from './event-hub.ts';

/** How many missed changes are read at a time. */
const PAGE = 500;
/** Changes commit a little out of the order of seq, so a read starts this far before the newest one seen. */
const OVERLAP = 1_000n;
/** How many seqs are remembered to tell a change that was already delivered. */
const REMEMBERED = 10_000;

/**
 * The changes of all tasks that match, each once, from now on or from after a cursor.
 *
 * @throws AppError BAD_USER_INPUT for a malformed cursor
 */
export async function watchTasks(
  { hub, sql }: { hub: EventHub; sql: Sql },
  filter: TaskFilter,
  after?: string | null,
): Promise<ChangeQueue> {
  const from = after == null ? undefined : decodeCursor(after).seq;
  const delivered = new Set<bigint>();
  /** Announced while a read was under way; what the read brings comes first. */
  let held: TaskChange[] = [];
  let floor = 0n;
  let newest = 0n;
  let reading = true;
  let doubtful = from !== undefined;

  const queue = createChangeQueue();

  function deliver(change: TaskChange) {
    const { seq, status } = change.event;
    if ((from !== undefined && seq <= from) || delivered.has(seq)) return;
    if (seq > newest) newest = seq;
    delivered.add(seq);
    if (delivered.size > REMEMBERED) forgetOldest(delivered);
    // What was read later shows the task as it is now; the filter is about the change.
    if (matchesFilter(filter, { ...change.task, status })) queue.push(change);
  }

  function hold(change: TaskChange) {
    if (held.length < REMEMBERED) held.push(change);
    else doubtful = true;
  }

  async function catchUp() {
    reading = true;
    try {
      while (doubtful) {
        doubtful = false;
        await readAfter(newest - floor > OVERLAP ? newest - OVERLAP : floor);
      }
    } catch {
      // The database is away. The doubt comes back until it is settled.
    }
    const late = held;
    held = [];
    reading = false;
    late.forEach(deliver);
  }

  async function readAfter(seq: bigint) {
    for (let last: bigint | undefined = seq; last !== undefined; ) {
      const missed: TaskChange[] = await changesAfter(sql, filter, last, PAGE);
      missed.forEach(deliver);
      last = missed.length === PAGE ? missed.at(-1)?.event.seq : undefined;
    }
  }

  // Listen before reading: a change in between must not be lost.
  const leave = await hub.watch(undefined, {
    onChange: (change) => (reading ? hold(change) : deliver(change)),
    onDoubt() {
      doubtful = true;
      if (!reading) void catchUp();
    },
  });
  try {
    floor = from ?? (await newestSeq(sql));
    newest = floor;
  } catch (error) {
    leave();
    throw error;
  }
  void catchUp();
  queue.onClose(leave);
  return queue;
}

function forgetOldest(delivered: Set<bigint>) {
  for (const seq of delivered) {
    delivered.delete(seq);
    return;
  }
}

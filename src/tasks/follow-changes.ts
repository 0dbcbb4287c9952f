import type { Logger } from 'pino';
import { aheadOfAll, serviceUnavailable } from '../domain/errors.ts';
import type { Task, TaskChange } from '../domain/task.ts';
import { changesWithin, eventHorizon, PAGE, recentGaps } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { type Audience, createAudience } from './audience.ts';
import type { EventHub } from './event-hub.ts';
import { createRounds } from './rounds.ts';
import { allAfter, has, MAX_SEQ, positionOf, type SeqSet } from './seq-set.ts';
import { createUnseenSeqs, type UnseenSeqs } from './unseen-seqs.ts';

export interface Follower {
  readonly audience: Audience;
  /** What it has yet to see. What leaves this set is told to the audience in the same turn, or never comes. */
  unseen(): SeqSet;
  /**
   * Resolves once it has seen what is visible by now up to `position`.
   * @throws AppError SERVICE_UNAVAILABLE; BAD_USER_INPUT when no change has ever got that far
   */
  reach(position: bigint): Promise<void>;
  stop(): void;
}

/** How long to rest after reading: what is announced meanwhile shares the next read. */
const REST_MS = 10;
const REST_AFTER_FAILURE_MS = 250;
/** How often to look unasked: makes up for lost announcements and failed reads. */
const HEAL_INTERVAL_MS = 1_500;
/** How many ranges may be late. When there are more, transactions have to end before the follower goes on. */
const MAX_LATE = 2_000;
/** How many announced tasks wait for the read that tells them; others are told as they are found. */
const MAX_ANNOUNCED = 2 * PAGE;
/** Of how many tasks to remember which of their changes was told last: those of half a minute of busy work. */
const MAX_REMEMBERED = 50_000;

/**
 * Follows the changes of all tasks: tells each once, in order per task, soon after it becomes visible.
 *
 * A change takes its seq when it is written and becomes visible when its transaction commits, so 8 may be there while 7
 * has yet to come, and there is no one position to go on from. The follower keeps the set of all seqs that it has not
 * seen instead (`UnseenSeqs`), and what comes leaves it: a seq that others overtook stays behind by itself.
 *
 * Announcements come over many connections, in any order or not at all. One that is known to be the next of its task is
 * told at once, without a read. Any other shows that something was missed: the follower then asks the database for what
 * is in the set. It does so now and then unasked as well, since the last announcement may be the one that got lost. And
 * when more is announced at once than the audience takes: what the database keeps can be told at the audience's pace.
 *
 * Order per task holds in a read because the next change of a task locks its row only after the one before has
 * committed: a read that sees version n + 1 sees version n as well, with a lower seq, unless that had been told.
 *
 * @throws AppError SERVICE_UNAVAILABLE
 */
export async function followChanges({
  hub,
  sql,
  log,
  now,
}: {
  hub: EventHub;
  sql: Sql;
  log: Logger;
  now: () => number;
}): Promise<Follower> {
  let reader: Reader | undefined;
  // Listen before reading: a change in between must not be lost. What is heard too early, the first round finds.
  const leave = await hub.changes.listenToAll({
    onChange: (change) => reader?.hear(change),
    onDoubt: () => reader?.look(),
  });
  try {
    const at = now();
    const { newest, gaps, snapshot, horizon } = await recentGaps(sql);
    const passed = horizon > newest ? horizon : newest;
    // Where the newest have been deleted, transactions that are still open may have taken some of what is between.
    const between = passed > newest + 1n ? [{ first: newest + 1n, last: passed - 1n }] : [];
    const set = [...gaps, ...between, ...allAfter(passed)];
    reader = createReader({ unseen: createUnseenSeqs({ set, snapshot, at }), sql, log, now });
    await reader.look();
  } catch (error) {
    reader?.stop();
    leave();
    throw error;
  }
  const { look, stop, ...follower } = reader;
  const healing = setInterval(look, HEAL_INTERVAL_MS);
  return {
    ...follower,
    stop() {
      clearInterval(healing);
      stop();
      leave();
    },
  };
}

interface Reader extends Follower {
  /** A change was announced. */
  hear(change: TaskChange): void;
  look(): Promise<void>;
}

function createReader({
  unseen,
  sql,
  log,
  now,
}: {
  unseen: UnseenSeqs;
  sql: Sql;
  log: Logger;
  now: () => number;
}): Reader {
  const audience = createAudience();
  const versions = createVersions();
  const rounds = createRounds(round, {
    restMs: REST_MS,
    restAfterFailureMs: REST_AFTER_FAILURE_MS,
  });
  let announced = new Map<bigint, Task>();
  let failing = false;
  /** How many changes may still be told in this turn; not known before the first. */
  let room: number | undefined;

  async function round() {
    // Who announced before the round had committed before it: it reads all of them, and drops what is left.
    const before = announced;
    announced = new Map();
    try {
      while (await readPage(before));
      failing = false;
    } catch (error) {
      if (!failing) log.warn({ err: error }, 'cannot read the changes; will try again and again');
      failing = true;
      throw error;
    }
  }

  /** Whether there is more. */
  async function readPage(before: ReadonlyMap<bigint, Task>): Promise<boolean> {
    // What is told while this reads may come from transactions that it cannot see.
    let position = positionOf(unseen.set);
    const at = now();
    const { changes, snapshot } = await changesWithin(sql, unseen.set);
    if (changes.length > 0) await takeRoom();
    let isCrowded = false;
    for (const { event, task } of changes) {
      const { seq } = event;
      if (!has(unseen.set, seq)) continue;
      isCrowded = isAhead(seq);
      if (isCrowded) break;
      // Whoever announced it knows the task as the change left it.
      tell({ event, task: before.get(seq) ?? announced.get(seq) ?? task });
      if (seq > position) position = seq;
    }
    const isFull = changes.length === PAGE;
    const through = isFull ? (changes.at(-1)?.event.seq ?? MAX_SEQ) : MAX_SEQ;
    unseen.giveUp({ snapshot, through, position, at });
    if (isCrowded) throw serviceUnavailable('The latest change', new Error('so many are late'));
    return isFull;
  }

  function tell({ event, task }: TaskChange) {
    unseen.see(event.seq);
    versions.remember(event.taskId, event.version);
    audience.tell({ event, task, unseen: unseen.set });
  }

  /** Whether the audience takes one more in this turn of the loop. */
  function mayTell(): boolean {
    if (room === undefined) setRoom(audience.isReady() ? PAGE : 0);
    room = (room ?? 0) - 1;
    return room >= 0;
  }

  function setRoom(size: number): void {
    room = size;
    setImmediate(() => {
      room = undefined;
    });
  }

  /** Waits until the audience takes a page, and keeps this turn for it. */
  async function takeRoom() {
    await audience.ready();
    setRoom(0);
  }

  /** There is no room for one more that is late, and it would make all between here and there late. */
  function isAhead(seq: bigint): boolean {
    return unseen.set.length > MAX_LATE && seq > positionOf(unseen.set);
  }

  return {
    audience,
    unseen: () => unseen.set,
    hear(change) {
      const { taskId, version, seq } = change.event;
      if (!has(unseen.set, seq)) return;
      if (versions.isNext(taskId, version) && !isAhead(seq) && mayTell()) return tell(change);
      if (announced.size < MAX_ANNOUNCED) announced.set(seq, change.task);
      void rounds.request();
    },
    look: rounds.request,
    async reach(position) {
      if (position <= positionOf(unseen.set)) return;
      await rounds.request();
      if (position <= positionOf(unseen.set)) return;
      // What was there and is deleted leaves nothing to see.
      if (position <= (await eventHorizon(sql))) return;
      throw aheadOfAll();
    },
    stop: rounds.stop,
  };
}

/** Which change of a task was told last, for the tasks that changed last. */
function createVersions() {
  const versions = new Map<string, number>();
  return {
    isNext: (taskId: string, version: number) =>
      version === 1 || versions.get(taskId) === version - 1,
    remember(taskId: string, version: number) {
      // The order of a map is that of insertion: the first is the one that changed longest ago.
      versions.delete(taskId);
      versions.set(taskId, version);
      if (versions.size <= MAX_REMEMBERED) return;
      for (const oldest of versions.keys()) {
        versions.delete(oldest);
        break;
      }
    },
  };
}

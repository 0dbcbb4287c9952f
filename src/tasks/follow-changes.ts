import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { badInput, serviceUnavailable } from '../domain/errors.ts';
import type { Task, TaskChange } from '../domain/task.ts';
import { changesWithin, PAGE, recentGaps } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import type { StreamedChange } from './cursor.ts';
import type { EventHub } from './event-hub.ts';
import { createRounds } from './rounds.ts';
import { has, MAX_SEQ, positionOf, type SeqSet } from './seq-set.ts';
import { createUnseenSeqs, type UnseenSeqs } from './unseen-seqs.ts';

/** Somebody who is told of every change of every task. */
export interface Watcher {
  /** `unseen` is what the follower has yet to see after this change. */
  onChange(change: Required<StreamedChange>): void;
  /** Resolves when the watcher can take a page of changes in one go. */
  ready(): Promise<unknown>;
}

export interface Follower {
  readonly watchers: Set<Watcher>;
  /** What it has yet to see. What leaves this set is told to the watchers in the same turn, or never comes. */
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
/** How long busy watchers may hold up a long catching up. */
const PATIENCE_MS = 100;
/** How many ranges may be late. When there are more, transactions have to end before the follower goes on. */
const MAX_LATE = 2_000;

/**
 * Follows the changes of all tasks: tells each once, in order per task, soon after it becomes visible.
 *
 * They are read from the database; announcements, which come over many connections in any order or not at all, only
 * tell when to look. A change takes its seq when it is written and becomes visible when its transaction commits, so 8
 * may be there while 7 has yet to come, and there is no one position to read on from. The follower keeps the set of
 * all seqs that it has not seen instead (`UnseenSeqs`). Each read asks for that set, and what comes leaves it: a seq
 * that others overtook stays behind by itself, to be read when it comes.
 *
 * Order per task holds because the next change of a task locks its row only after the one before has committed: a read
 * that sees version n + 1 sees version n as well, with a lower seq, unless an earlier read did.
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
  const leave = await hub.watch(undefined, {
    onChange: (change) => reader?.hear(change),
    onDoubt: () => reader?.look(),
  });
  try {
    const { newest, gaps, snapshot } = await recentGaps(sql);
    const set = [...gaps, { first: newest + 1n, last: MAX_SEQ }];
    reader = createReader({ unseen: createUnseenSeqs({ set, snapshot, now }), sql, log });
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

function createReader({ unseen, sql, log }: { unseen: UnseenSeqs; sql: Sql; log: Logger }): Reader {
  const watchers = new Set<Watcher>();
  const rounds = createRounds(round, {
    restMs: REST_MS,
    restAfterFailureMs: REST_AFTER_FAILURE_MS,
  });
  let announced = new Map<bigint, Task>();
  let failing = false;

  async function round() {
    // Who announced before the round had committed before it: it reads all of them, and drops what is left.
    const before = announced;
    announced = new Map();
    try {
      while (await readPage(before)) await Promise.race([everyoneIsReady(), pause(PATIENCE_MS)]);
      failing = false;
    } catch (error) {
      if (!failing) log.warn({ err: error }, 'cannot read the changes; will try again and again');
      failing = true;
      throw error;
    }
  }

  /** Whether there is more. */
  async function readPage(before: ReadonlyMap<bigint, Task>): Promise<boolean> {
    const { changes, snapshot } = await changesWithin(sql, unseen.set);
    let isCrowded = false;
    for (const { event, task } of changes) {
      const { seq } = event;
      isCrowded = unseen.set.length > MAX_LATE && seq > positionOf(unseen.set);
      if (isCrowded) break;
      unseen.see(seq);
      // Whoever announced it knows the task as the change left it.
      const left = before.get(seq) ?? announced.get(seq) ?? task;
      for (const { onChange } of watchers) onChange({ event, task: left, unseen: unseen.set });
    }
    const isFull = changes.length === PAGE;
    unseen.giveUp(snapshot, isFull ? (changes.at(-1)?.event.seq ?? MAX_SEQ) : MAX_SEQ);
    if (isCrowded) throw serviceUnavailable('The latest change', new Error('so many are late'));
    return isFull;
  }

  async function everyoneIsReady() {
    await Promise.all([...watchers].map(({ ready }) => ready()));
  }

  return {
    watchers,
    unseen: () => unseen.set,
    hear({ event, task }) {
      if (!has(unseen.set, event.seq)) return;
      announced.set(event.seq, task);
      void rounds.request();
    },
    look: rounds.request,
    async reach(position) {
      if (position <= positionOf(unseen.set)) return;
      await rounds.request();
      if (position <= positionOf(unseen.set)) return;
      throw badInput([{ path: ['after'], message: 'is ahead of every change that there is' }]);
    },
    stop: rounds.stop,
  };
}

import type { Snapshot } from '../store/event-queries.ts';
import { allAfter, intersect, positionOf, type SeqSet, withoutSeq } from './seq-set.ts';

/** The seqs that a reader of all changes has yet to see: the future, and the late ones below it. */
export interface UnseenSeqs {
  /** Replaced with every change, never changed in place. */
  readonly set: SeqSet;
  see(seq: bigint): void;
  /**
   * After a read: gives up the late ones that will never come.
   * @param read.through up to where the read brought all that it could see
   * @param read.position the last seq that is known to have been visible to it
   * @param read.at when it began
   */
  giveUp(read: { snapshot: Snapshot; through: bigint; position: bigint; at: number }): void;
}

/** No transaction lives this long: the timeouts of its statements and of its idling add up to half of it. */
const MAX_TRANSACTION_MS = 60_000;

/**
 * A seq is late when a greater one was visible before it: its transaction is still open, or was rolled back, or the
 * sequence skipped it (it does so after a crash). What was late at one read had been taken by a transaction that the
 * read's snapshot knows, since a task is written before its event. Once a later read could see all of those
 * transactions, what is still missing never comes. While some foreign transaction stays open for long, its age tells.
 */
export function createUnseenSeqs(options: {
  set: SeqSet;
  snapshot: Snapshot;
  /** When that was read, by a clock that only goes forward, in milliseconds. */
  at: number;
}): UnseenSeqs {
  let { set } = options;
  /** All that is late below `position` was so by that time, and taken by transactions before `next`. */
  let mark = { position: positionOf(set), next: options.snapshot.next, at: options.at };

  return {
    get set() {
      return set;
    },
    see(seq) {
      set = withoutSeq(set, seq);
    },
    giveUp({ snapshot: { over, next }, through, position, at }) {
      if (over < mark.next && at - mark.at < MAX_TRANSACTION_MS) return;
      if (through < mark.position) return;
      set = intersect(set, allAfter(mark.position));
      mark = { position, next, at };
    },
  };
}

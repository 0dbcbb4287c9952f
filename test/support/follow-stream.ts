import { setTimeout as pause } from 'node:timers/promises';
import {
  Disconnected,
  type Interruption,
  type Seen,
  type Watched,
  type Watcher,
} from './watchers.ts';

/** What a subscriber that always comes back has seen. */
export interface Followed {
  readonly watched: Watched;
  readonly seen: readonly Seen[];
  /** How often it had to connect again, and why. */
  readonly interruptions: Readonly<Record<Interruption, number>>;
}

/** When a subscriber breaks its connection: after so many changes, or so many milliseconds. */
export interface Stay {
  changes?: number;
  ms?: number;
}

/**
 * Watches as a good client does: whenever it is disconnected it connects again, with the cursor of the last change that
 * it has seen. Ends with the stream, or after the change for which `isLast` holds, or when `signal` is aborted.
 *
 * @param options.connect opens the nth connection, counted from 0
 * @param options.stay how long the nth connection lasts; undefined: for ever
 */
export async function followStream(options: {
  watched: Watched;
  after?: string;
  connect: (turn: number) => Watcher;
  stay?: (turn: number) => Stay | undefined;
  isLast?: (change: Seen) => boolean;
  onSeen?: (change: Seen, turn: number) => void;
  signal: AbortSignal;
}): Promise<Followed> {
  const { watched, connect, stay, isLast = () => false, onSeen, signal } = options;
  const seen: Seen[] = [];
  const interruptions = { CUT: 0, LAGGED: 0, UNAVAILABLE: 0 };
  let isOver = false;
  for (let turn = 0; !isOver && !signal.aborted; turn += 1) {
    const { watch, drop } = connect(turn);
    const { changes = Number.POSITIVE_INFINITY, ms } = stay?.(turn) ?? {};
    const timer = ms === undefined ? undefined : setTimeout(drop, ms);
    const until = seen.length + changes;
    signal.addEventListener('abort', drop);
    try {
      for await (const change of watch(watched, seen.at(-1)?.cursor ?? options.after)) {
        seen.push(change);
        onSeen?.(change, turn);
        isOver = isLast(change);
        if (!isOver && seen.length < until) continue;
        // Before the iterator is left, or the server would be told.
        drop();
        throw new Disconnected('CUT');
      }
      if ('filter' in watched) throw new Error('A stream ended that has no end.');
      isOver = true;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      if (!isOver) interruptions[error.reason] += 1;
      if (error.reason === 'UNAVAILABLE') await pause(RETRY_MS);
    } finally {
      signal.removeEventListener('abort', drop);
      clearTimeout(timer);
      drop();
    }
  }
  return { watched, seen, interruptions };
}

const RETRY_MS = 100;

/**
 * So many stays of random length, then one for ever. By turns of a coin they are measured in changes, so that a break
 * falls between two of them, and in time, so that it falls anywhere: before the answer, too, or into a frame.
 */
export function randomStays(
  random: () => number,
  { count, changes, ms }: { count: number; changes: number; ms: number },
): (turn: number) => Stay | undefined {
  return (turn) => {
    if (turn >= count) return undefined;
    if (random() < 0.5) return { changes: 1 + Math.floor(random() * 2 * changes) };
    return { ms: random() * 2 * ms };
  };
}

/** The watcher for one of several who share its connection: breaking it is not for him. */
export function sharing({ watch }: Watcher): Watcher {
  return { watch, drop() {} };
}

/** How long what happened last may take to reach everybody. */
const ARRIVAL_MS = 20_000;

/** What they have seen once all are done. Who is not in time is made to give up, so that it shows what he misses. */
export async function arrive<T>(following: Promise<T>, ending: AbortController): Promise<T> {
  const timer = setTimeout(() => ending.abort(), ARRIVAL_MS);
  try {
    return await following;
  } finally {
    clearTimeout(timer);
  }
}

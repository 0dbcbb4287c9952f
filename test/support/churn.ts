import type { Broker } from '../../src/broker/broker.ts';
import { cancel, retry, type Transition } from '../../src/domain/transitions.ts';
import { applyTransitions } from '../../src/store/apply-transitions.ts';
import type { Database } from '../../src/store/database.ts';
import { happened } from '../../src/tasks/advance.ts';

/**
 * Changes tasks at random, over several connections at once, until so many changes have happened. Transactions stay
 * open for different times, so that they commit out of order; one in ten is rolled back.
 *
 * @param options.ids one that is in it more than once is chosen more often
 * @param options.share how many of them, of 1, a transaction tries to change
 * @param options.transitions of which each transaction makes one; by default tasks are cancelled and retried
 * @param options.room awaited before each transaction
 */
export async function churn({
  database,
  broker,
  ids,
  changes,
  connections = 6,
  share = 0.1,
  transitions = [cancel, retry],
  room = async () => {},
  random,
}: {
  database: Pick<Database, 'transaction'>;
  broker: Pick<Broker, 'publishEvents'>;
  ids: readonly string[];
  changes: number;
  connections?: number;
  share?: number;
  transitions?: readonly ((id: string) => Transition)[];
  room?: () => Promise<void>;
  random: () => number;
}): Promise<void> {
  let left = changes;
  const rollback = new Error('rolled back on purpose');

  async function change() {
    while (left > 0) {
      await room();
      const some = new Set(ids.filter(() => random() < share).slice(0, left));
      const transition = transitions[Math.floor(random() * transitions.length)] ?? cancel;
      const applied = database.transaction(async (tx) => {
        const done = happened(
          await applyTransitions(
            tx,
            Array.from(some, (id) => transition(id)),
          ),
        );
        for (let turns = random() * 30; turns > 0; turns -= 1) await nextTurn();
        if (random() < 0.1) throw rollback;
        return done;
      });
      const done = await applied.catch((error: unknown) => {
        if (error === rollback) return [];
        throw error;
      });
      left -= done.length;
      broker.publishEvents(done);
    }
  }

  await Promise.all(Array.from({ length: connections }, change));
}

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

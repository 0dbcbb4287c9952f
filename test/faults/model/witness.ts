import {
  contractBreaches,
  STORED_TASKS,
  type StoredEvent,
  type StoredTask,
} from '../../support/histories.ts';
import type { KnownEntry } from './book.ts';
import { Breach } from './step.ts';
import type { World } from './world.ts';

/** What happened to a task while a client waited for an answer. */
export interface Window {
  /** All that the task was meanwhile: the latest event before the call, and those that came until the answer. */
  during: StoredEvent[];
  /** Only those that came. */
  changes: StoredEvent[];
  /** From its beginning. */
  history: readonly StoredEvent[];
}

/** Makes a call and tells, past the service, what became of the tasks meanwhile, in their order. */
export async function witness<T>(
  world: World,
  entries: readonly KnownEntry[],
  call: () => Promise<T>,
): Promise<{ answer: T; windows: Window[] }> {
  const before = await histories(world, entries);
  const answer = await call();
  const after = await histories(world, entries);
  const windows = after.map((history, index) => {
    const from = before[index]?.length ?? 0;
    return { during: history.slice(from - 1), changes: history.slice(from), history };
  });
  return { answer, windows };
}

/** The same for one task. */
export async function witnessOne<T>(
  world: World,
  entry: KnownEntry,
  call: () => Promise<T>,
): Promise<{ answer: T; window: Window }> {
  const { answer, windows } = await witness(world, [entry], call);
  const [window] = windows;
  if (window === undefined) throw new Error('One entry gave no window.');
  return { answer, window };
}

/** As they are now. @throws Breach when one breaks the contract, or is not what it was plus what came */
export async function histories(
  world: World,
  entries: readonly KnownEntry[],
): Promise<StoredEvent[][]> {
  const ids = entries.map(({ id }) => id);
  const text = `${STORED_TASKS} where t.id = any ($1::uuid[])`;
  const { rows } = await world.ledger.sql.query<StoredTask>(text, [ids]);
  const [breach] = rows.flatMap(contractBreaches);
  if (breach !== undefined) throw new Breach(breach);
  const byId = new Map(rows.map(({ id, history }) => [id, history]));
  return entries.map((entry) => {
    const history = byId.get(entry.id);
    if (history === undefined) throw new Breach(`${entry.order.title} (${entry.id}) is lost`);
    // Of two reads that crossed the older may come later.
    const length = Math.min(history.length, entry.seen.length);
    if (wordsOf(history.slice(0, length)) !== wordsOf(entry.seen.slice(0, length))) {
      throw new Breach(`the history of ${entry.id} was rewritten: ${wordsOf(history)}`);
    }
    if (history.length > entry.seen.length) entry.seen = history;
    return history;
  });
}

export function wordsOf(history: readonly StoredEvent[]): string {
  return history
    .map(({ version, status, attempt }) => `${version} ${status} (${attempt})`)
    .join(', ');
}

import type { StoredTask } from './histories.ts';
import { createInbox, type Inbox } from './inbox.ts';

/** A change as a client was told of it. */
export interface ToldChange {
  taskId: string;
  version: number;
  status: string;
}

/** All that a client was told. */
export interface Told {
  changes: Inbox<ToldChange>;
  /** Codes with which the service refused it, or ended its stream. */
  refusals: Inbox<string>;
  /** How its stream ended for good. */
  ends: Inbox<string>;
}

/** @returns what a client was told, and the way in for the client: the name of an inbox, and what goes there */
export function createTold(): Told & { tell(to: keyof Told, what: never): void } {
  const told: Told = {
    changes: createInbox<ToldChange>(),
    refusals: createInbox<string>(),
    ends: createInbox<string>(),
  };
  return { ...told, tell: (to, what) => told[to].put(what) };
}

/** The versions that were told of each task, in the order in which they were told. */
export function versionsTold({ changes }: Told): Record<string, number[]> {
  const tasks = Map.groupBy(changes.all, ({ taskId }) => taskId);
  return Object.fromEntries(
    [...tasks].map(([id, told]) => [id, told.map(({ version }) => version)]),
  );
}

/** What `versionsTold` is to be for who saw all changes of these tasks. */
export function versionsOf(
  tasks: readonly Pick<StoredTask, 'id' | 'history'>[],
): Record<string, number[]> {
  return Object.fromEntries(
    tasks.map(({ id, history }) => [id, history.map(({ version }) => version)]),
  );
}

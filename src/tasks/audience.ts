import { setTimeout as pause } from 'node:timers/promises';
import type { StreamedChange } from './cursor.ts';
import type { Selection } from './selection.ts';

/** Somebody who is told of changes as they become visible. */
export interface Watcher {
  readonly selection: Selection;
  /** `unseen` is what the follower has yet to see after this change. The same object for all who select alike. */
  onChange(change: Required<Pick<StreamedChange, 'unseen'>> & StreamedChange): void;
  /** Whether it can take a page of changes in one go. */
  isReady(): boolean;
  /** Resolves when it can. */
  ready(): Promise<unknown>;
}

/** All who watch, by what they select: a change costs a look at each selection that it may concern, not at each of them. */
export interface Audience {
  /** Returns the way to leave. */
  add(watcher: Watcher): () => void;
  tell: Watcher['onChange'];
  /** Whether all of them can take a page of changes in one go, but for those who are waited for no more. */
  isReady(): boolean;
  /**
   * Resolves when they can. Whoever has been waited for long enough is waited for no more until some time has passed: it
   * falls behind, and the others do not.
   */
  ready(): Promise<void>;
}

/** How long one of them may hold up the others, and the share of the time that it gets back. */
const PATIENCE_MS = 500;
const REGAINED = 1 / 20;

interface Group {
  readonly selection: Selection;
  readonly watchers: Set<Watcher>;
}

export function createAudience({
  patienceMs = PATIENCE_MS,
  now = () => performance.now(),
} = {}): Audience {
  const groups = new Map<string, Group>();
  /** Those who name the tasks that they mean are found by these. */
  const byTask = new Map<string, Set<Group>>();
  const ofAnyTask = new Set<Group>();
  /** For how many milliseconds each has been waited for, as of when. */
  const waited = new WeakMap<Watcher, { ms: number; at: number }>();

  function open(selection: Selection): Group {
    const group = { selection, watchers: new Set<Watcher>() };
    groups.set(selection.key, group);
    const ids = idsOf(selection);
    if (ids === undefined) ofAnyTask.add(group);
    for (const id of ids ?? []) {
      const others = byTask.get(id);
      if (others === undefined) byTask.set(id, new Set([group]));
      else others.add(group);
    }
    return group;
  }

  function close(group: Group) {
    groups.delete(group.selection.key);
    ofAnyTask.delete(group);
    for (const id of idsOf(group.selection) ?? []) {
      const others = byTask.get(id);
      others?.delete(group);
      if (others?.size === 0) byTask.delete(id);
    }
  }

  function tellAll(told: Iterable<Group>, change: Parameters<Watcher['onChange']>[0]) {
    for (const { selection, watchers } of told) {
      const selected = selection.select(change);
      if (selected === undefined) continue;
      for (const watcher of watchers) watcher.onChange(selected);
    }
  }

  function* waitedFor(): Iterable<Watcher> {
    for (const { watchers } of groups.values()) {
      for (const watcher of watchers) {
        if (!watcher.isReady() && patienceWith(watcher) > 0) yield watcher;
      }
    }
  }

  function msWaited(watcher: Watcher): number {
    const { ms, at } = waited.get(watcher) ?? { ms: 0, at: 0 };
    return Math.max(0, ms - (now() - at) * REGAINED);
  }

  function patienceWith(watcher: Watcher): number {
    return patienceMs - msWaited(watcher);
  }

  async function waitFor(watchers: readonly Watcher[]): Promise<void> {
    const startedAt = now();
    const ready = Promise.all(watchers.map((watcher) => watcher.ready()));
    await Promise.race([ready, pause(Math.min(...watchers.map(patienceWith)))]);
    const at = now();
    for (const watcher of watchers) {
      waited.set(watcher, { ms: msWaited(watcher) + at - startedAt, at });
    }
  }

  return {
    add(watcher) {
      const group = groups.get(watcher.selection.key) ?? open(watcher.selection);
      group.watchers.add(watcher);
      return () => {
        if (group.watchers.delete(watcher) && group.watchers.size === 0) close(group);
      };
    },
    tell(change) {
      tellAll(byTask.get(change.task.id) ?? [], change);
      tellAll(ofAnyTask, change);
    },
    isReady() {
      const [first] = waitedFor();
      return first === undefined;
    },
    async ready() {
      for (;;) {
        const watchers = [...waitedFor()];
        if (watchers.length === 0) return;
        await waitFor(watchers);
      }
    },
  };
}

function idsOf({ filter }: Selection): Set<string> | undefined {
  return filter.ids == null ? undefined : new Set(filter.ids.map((id) => id.toLowerCase()));
}

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
  /** Whether all of them can take a page of changes in one go. */
  isReady(): boolean;
  /** Resolves when they can. */
  ready(): Promise<unknown>;
  /** Those who cannot now are waited for no more until they can: they fall behind, and the others do not. */
  waitNoMore(): void;
}

interface Group {
  readonly selection: Selection;
  readonly watchers: Set<Watcher>;
}

export function createAudience(): Audience {
  const groups = new Map<string, Group>();
  /** Those who name the tasks that they mean are found by these. */
  const byTask = new Map<string, Set<Group>>();
  const ofAnyTask = new Set<Group>();
  /** Who is waited for no more. */
  const late = new Set<Watcher>();

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
        if (watcher.isReady()) late.delete(watcher);
        else if (!late.has(watcher)) yield watcher;
      }
    }
  }

  return {
    add(watcher) {
      const group = groups.get(watcher.selection.key) ?? open(watcher.selection);
      group.watchers.add(watcher);
      return () => {
        late.delete(watcher);
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
    ready: () => Promise.all(Array.from(waitedFor(), (watcher) => watcher.ready())),
    waitNoMore() {
      for (const watcher of waitedFor()) late.add(watcher);
    },
  };
}

function idsOf({ filter }: Selection): Set<string> | undefined {
  return filter.ids == null ? undefined : new Set(filter.ids.map((id) => id.toLowerCase()));
}

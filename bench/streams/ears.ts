import { sharedNow } from './commands.ts';

/** What becomes of the messages that a group of sockets is sent. */
export interface Ear {
  hear(bytes: Buffer, start: number, end: number): void;
}

/** Counts, and does nothing else with a message. */
export interface Counter extends Ear {
  /** Begins anew. Resolves to when the first and the last of so many came. */
  expect(count: number): void;
  arrived(): Promise<{ firstAt: number; lastAt: number }>;
}

export function createCounter(): Counter {
  let missing = 0;
  let firstAt = 0;
  let lastAt = 0;
  let isFirst = true;
  let all = Promise.withResolvers<void>();

  return {
    expect(count) {
      missing = count;
      isFirst = true;
      all = Promise.withResolvers();
    },
    async arrived() {
      const timer = setTimeout(
        () => all.reject(new Error(`${missing} messages did not come`)),
        ARRIVED_WITHIN_MS,
      );
      await all.promise.finally(() => clearTimeout(timer));
      return { firstAt, lastAt };
    },
    hear() {
      if (isFirst) {
        firstAt = sharedNow();
        isFirst = false;
      }
      missing -= 1;
      if (missing !== 0) return;
      lastAt = sharedNow();
      all.resolve();
    },
  };
}

const ARRIVED_WITHIN_MS = 120_000;

/** Keeps when each change came, once for each subscriber that was told, by `task:version`. */
export interface Stopwatch extends Ear {
  readonly times: Map<string, number[]>;
}

export function createStopwatch(): Stopwatch {
  const times = new Map<string, number[]>();
  return {
    times,
    hear(bytes, start, end) {
      const at = sharedNow();
      const [, , taskId, version] = CHANGE.exec(bytes.toString('latin1', start, end)) ?? [];
      const key = `${taskId}:${version}`;
      const known = times.get(key);
      if (known === undefined) times.set(key, [at]);
      else known.push(at);
    },
  };
}

/** As the documents of the measurements ask for it. */
const CHANGE = /"cursor":"([^"]+)","taskId":"([^"]+)","version":(\d+)/;

/** Checks that each task's versions come one by one. */
export interface Tally extends Ear {
  readonly state: {
    /** Changes that came. */
    count: number;
    /** Of these, the ones whose version was not 1 more than that of their task before. */
    wrong: number;
    /** By task. */
    versions: Map<string, number>;
    lastCursor: string | undefined;
    /** The code with which the server ended the stream. */
    endedWith: string | undefined;
  };
}

/** @param versions what the subscriber has seen before, by task */
export function createTally(versions: ReadonlyMap<string, number>): Tally {
  const state: Tally['state'] = {
    count: 0,
    wrong: 0,
    versions: new Map(versions),
    lastCursor: undefined,
    endedWith: undefined,
  };
  return {
    state,
    hear(bytes, start, end) {
      const text = bytes.toString('latin1', start, end);
      const [, cursor, taskId, version] = CHANGE.exec(text) ?? [];
      if (taskId === undefined) {
        state.endedWith = /"code":"(\w+)"/.exec(text)?.[1] ?? text;
        return;
      }
      state.count += 1;
      if (Number(version) !== (state.versions.get(taskId) ?? 0) + 1) state.wrong += 1;
      state.versions.set(taskId, Number(version));
      state.lastCursor = cursor;
    },
  };
}

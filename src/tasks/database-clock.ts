/** What the database's clock shows now, as far as that can be told without asking. */
export interface DatabaseClock {
  /** Takes note of a time that the database has just told. */
  told(at: Date): void;
  /** Forgets it: the database may be away, or another by now. */
  forget(): void;
  /** Milliseconds of the Unix epoch, late by what an answer takes; undefined when nothing reliable was told yet. */
  now(): number | undefined;
}

/** Apart by more than this, the two clocks of this machine have not counted the same time. */
const TOLERANCE_MS = 1_000;

/**
 * Counts on from what the database told last. A machine that slept, or whose clock was set, has lost count: its two
 * clocks then disagree about how long ago that was.
 */
export function createDatabaseClock(): DatabaseClock {
  let last: { at: number; counted: number; wall: number } | undefined;
  return {
    told(at) {
      last = { at: at.getTime(), counted: performance.now(), wall: Date.now() };
    },
    forget() {
      last = undefined;
    },
    now() {
      if (last === undefined) return undefined;
      const passed = performance.now() - last.counted;
      const passedOnTheWall = Date.now() - last.wall;
      return Math.abs(passed - passedOnTheWall) < TOLERANCE_MS ? last.at + passed : undefined;
    },
  };
}

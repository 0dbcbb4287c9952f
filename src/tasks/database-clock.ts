/** What the database's clock shows now, as far as that can be told without asking. */
export interface DatabaseClock {
  /**
   * Notes a moment here.
   * @returns takes the time that the database had then, or a little earlier
   */
  ask(): (at: Date) => void;
  /** Forgets it, and believes nothing for a while: the database may be away, or another by now. */
  forget(): void;
  /** Milliseconds of the Unix epoch; undefined when nothing reliable was told. */
  now(): number | undefined;
}

/** Apart by more than this, the two clocks of this machine have not counted the same time. */
const TOLERANCE_MS = 1_000;
const DISTRUST_MS = 10_000;

/**
 * Counts on from what the database told last. A machine that slept, or whose clock was set, has lost count: its two
 * clocks then disagree about how long ago that was.
 */
export function createDatabaseClock(): DatabaseClock {
  let last: { at: number; counted: number; wall: number } | undefined;
  let trustedFrom = Number.NEGATIVE_INFINITY;
  return {
    ask() {
      const [counted, wall] = [performance.now(), Date.now()];
      return (at) => {
        if (counted > trustedFrom) last = { at: at.getTime(), counted, wall };
      };
    },
    forget() {
      last = undefined;
      trustedFrom = performance.now() + DISTRUST_MS;
    },
    now() {
      if (last === undefined) return undefined;
      const passed = performance.now() - last.counted;
      const passedOnTheWall = Date.now() - last.wall;
      return Math.abs(passed - passedOnTheWall) < TOLERANCE_MS ? last.at + passed : undefined;
    },
  };
}

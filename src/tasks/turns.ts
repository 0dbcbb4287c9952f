/** Does work, as soon as it is its turn. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** Lets so many at a time do their work. The others wait, and come in the order in which they asked. */
export function createTurns(atOnce: number): InTurn {
  const waiting: (() => void)[] = [];
  let free = atOnce;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // To the next one at once, so that nobody who comes now is quicker.
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

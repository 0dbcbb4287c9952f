/**
 * Gathers single calls into batches without a timer: a batch is what arrived while the previous ones were on their way,
 * so an idle service waits for nothing and a busy one pays for a round trip once per batch.
 *
 * A batch that fails with more than one item in it is done again item by item, so that no item fails for another's
 * fault; `isShared` tells failures for which that is pointless, since they would hit each item alike.
 *
 * @param run does a batch; resolves to one result per item, in order
 * @returns does one item as part of some batch
 */
export function createMicroBatch<Item, Result>(options: {
  run: (items: readonly Item[]) => Promise<readonly Result[]>;
  weigh: (item: Item) => number;
  /** A batch takes no further item once it weighs this much. */
  maxWeight: number;
  maxInFlight: number;
  isShared: (error: unknown) => boolean;
}): (item: Item) => Promise<Result> {
  const { run, weigh, maxWeight, maxInFlight, isShared } = options;
  let waiting: Call<Item, Result>[] = [];
  let inFlight = 0;

  function startBatches() {
    while (waiting.length > 0 && inFlight < maxInFlight) {
      inFlight += 1;
      void finish(takeBatch()).finally(() => {
        inFlight -= 1;
        startBatches();
      });
    }
  }

  function takeBatch(): Call<Item, Result>[] {
    let weight = 0;
    const end = waiting.findIndex(({ item }) => {
      const full = weight >= maxWeight;
      weight += weigh(item);
      return full;
    });
    const batch = end === -1 ? waiting : waiting.slice(0, end);
    waiting = end === -1 ? [] : waiting.slice(end);
    return batch;
  }

  async function finish(batch: readonly Call<Item, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => {
        // `run` promises one result per item.
        resolve(results[index] as Result);
      });
    } catch (error) {
      if (batch.length === 1 || isShared(error)) {
        for (const { reject } of batch) reject(error);
      } else {
        for (const call of batch) await finish([call]);
      }
    }
  }

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    waiting.push({ item, resolve, reject });
    // On the next turn: calls that arrive in the same one belong together.
    if (waiting.length === 1) setImmediate(startBatches);
    return promise;
  };
}

interface Call<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

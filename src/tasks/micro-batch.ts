/**
 * Gathers single calls into batches without a timer: a batch is what arrived while the previous ones were on their way,
 * so an idle service waits for nothing and a busy one pays for a round trip once per batch.
 *
 * A batch that fails with more than one item in it is done again in halves, down to the one that fails, so that no item
 * fails for another's fault; `isShared` tells failures for which that is pointless, since they would hit each alike.
 *
 * @param options.run does a batch; resolves to one result per item, in order
 * @returns does one item as part of some batch; not any more when its signal fires before that batch has begun
 */
export function createMicroBatch<Item, Result>(options: {
  run: (items: readonly Item[]) => Promise<readonly Result[]>;
  weigh: (item: Item) => number;
  /** A batch takes no further item once it weighs this much. */
  maxWeight: number;
  maxInFlight: number;
  /**
   * While others are on their way, a batch starts only once it weighs this much: what a batch costs whatever is in it
   * should be shared by so many.
   */
  minWeightBeside: number;
  /** Of two items with the same key the second waits for another batch. */
  keyOf?: (item: Item) => unknown;
  isShared: (error: unknown) => boolean;
}): (item: Item, signal?: AbortSignal) => Promise<Result> {
  const { run, weigh, maxWeight, maxInFlight, minWeightBeside, keyOf, isShared } = options;
  let waiting: Call<Item, Result>[] = [];
  let inFlight = 0;
  let startIsDue = false;

  function startBatches() {
    startIsDue = false;
    while (mayStart()) {
      waiting = withoutAbandoned(waiting);
      if (waiting.length === 0) return;
      inFlight += 1;
      void finish(takeBatch()).finally(() => {
        inFlight -= 1;
        startBatches();
      });
    }
  }

  function mayStart(): boolean {
    if (waiting.length === 0 || inFlight >= maxInFlight) return false;
    return (
      inFlight === 0 || waiting.reduce((sum, { item }) => sum + weigh(item), 0) >= minWeightBeside
    );
  }

  function withoutAbandoned(calls: readonly Call<Item, Result>[]): Call<Item, Result>[] {
    for (const { signal, reject } of calls) if (signal?.aborted) reject(signal.reason);
    return calls.filter(({ signal }) => !signal?.aborted);
  }

  function takeBatch(): Call<Item, Result>[] {
    const batch: Call<Item, Result>[] = [];
    const left: Call<Item, Result>[] = [];
    const keys = new Set<unknown>();
    let weight = 0;
    for (const call of waiting) {
      const key = keyOf?.(call.item);
      if (weight >= maxWeight || (key !== undefined && keys.has(key))) {
        left.push(call);
        continue;
      }
      batch.push(call);
      keys.add(key);
      weight += weigh(call.item);
    }
    waiting = left;
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
        const middle = Math.ceil(batch.length / 2);
        await redo(batch.slice(0, middle));
        await redo(batch.slice(middle));
      }
    }
  }

  async function redo(batch: readonly Call<Item, Result>[]): Promise<void> {
    const left = withoutAbandoned(batch);
    if (left.length > 0) await finish(left);
  }

  return (item, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    waiting.push({ item, signal, resolve, reject });
    // On the next turn: calls that arrive in the same one belong together.
    if (!startIsDue) setImmediate(startBatches);
    startIsDue = true;
    return promise;
  };
}

interface Call<Item, Result> {
  item: Item;
  signal: AbortSignal | undefined;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

import { setTimeout as rest } from 'node:timers/promises';

/** Work that is done when asked for, one round at a time. */
export interface Rounds {
  /** Settles as the first round does that begins from now on; all who ask until then share it. */
  request(): Promise<void>;
  /** No further round begins. */
  stop(): void;
}

/** Rests after each round, longer after one that failed. */
export function createRounds(
  round: () => Promise<void>,
  { restMs, restAfterFailureMs }: { restMs: number; restAfterFailureMs: number },
): Rounds {
  const stopping = new AbortController();
  const { signal } = stopping;
  let next: PromiseWithResolvers<void> | undefined;
  let running = false;

  async function run() {
    running = true;
    for (let turn = next; turn !== undefined; turn = next) {
      next = undefined;
      const hasFailed = await round().then(turn.resolve, (error: unknown) => {
        turn.reject(error);
        return true;
      });
      await rest(hasFailed ? restAfterFailureMs : restMs, undefined, { signal }).catch(() => {});
    }
    running = false;
  }

  return {
    request() {
      next ??= createTurn();
      const { promise } = next;
      if (signal.aborted) stop();
      else if (!running) void run();
      return promise;
    },
    stop,
  };

  function stop() {
    stopping.abort();
    next?.reject(new Error('No further round begins.'));
    next = undefined;
  }
}

function createTurn(): PromiseWithResolvers<void> {
  const turn = Promise.withResolvers<void>();
  // Most ask without waiting for the answer.
  turn.promise.catch(() => {});
  return turn;
}

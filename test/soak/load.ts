import { TASK_PRIORITIES } from '../../src/domain/task.ts';
import {
  type Answer,
  cancelByGraphql,
  cancelByRest,
  createByGraphql,
  createByRest,
  type Order,
  retryTask,
} from '../support/client.ts';
import { pause } from './pause.ts';
import type { Random } from './random.ts';

/** What the clients did, and what they were told. */
export interface Load {
  /** Ids that the service has acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** Ids whose cancelling was acknowledged. */
  readonly cancelled: ReadonlySet<string>;
  /** Ids whose retry was acknowledged. */
  readonly retried: ReadonlySet<string>;
  /** Creates that an idempotency key let repeat until they were acknowledged. */
  readonly repeated: number;
  /** How often a client did not get what it asked for, by the reason. */
  readonly errors: ReadonlyMap<string, number>;
  /** How long each acknowledgement took. */
  readonly latenciesMs: readonly number[];
  /** Answers that no fault excuses. */
  readonly offences: readonly string[];
  /** Creates nothing more, and resolves when every client has ended. */
  stop(): Promise<void>;
}

/** A task, and what its client does once it is acknowledged. */
interface Plan {
  order: Order;
  next?: 'CANCEL' | 'CANCEL_AND_RETRY' | 'RETRY';
}

const TICK_MS = 50;
const MAX_UNDER_WAY = 500;
const MAX_REPEATS = 60;
/** They mean that the service has a fault of its own, or has lost what it acknowledged. */
const INEXCUSABLE =
  /^REST (400|404|405|413|415|422|500)$|^GraphQL (INTERNAL_SERVER_ERROR|BAD_USER_INPUT|TASK_NOT_FOUND|IDEMPOTENCY_CONFLICT|GRAPHQL_.*)$|without data$/;

/**
 * Clients that create `perSecond` tasks a second over both APIs, however long the service takes to answer. They repeat
 * what failed under its idempotency key, and cancel and retry some of it.
 */
export function startLoad(options: {
  urls: readonly string[];
  perSecond: number;
  random: Random;
}): Load {
  const { urls, perSecond, random } = options;
  const acknowledged = new Set<string>();
  const cancelled = new Set<string>();
  const retried = new Set<string>();
  const errors = new Map<string, number>();
  const latenciesMs: number[] = [];
  const offences: string[] = [];
  const underWay = new Set<Promise<void>>();
  let count = 0;
  let repeated = 0;
  let owed = 0;

  const timer = setInterval(() => {
    // What could not be created in time is not made up for in a rush.
    owed = Math.min(owed + (perSecond * TICK_MS) / 1_000, perSecond);
    while (owed >= 1 && underWay.size < MAX_UNDER_WAY) {
      const size = random.chance(0.06) ? random.whole(2, 20) : 1;
      owed -= size;
      begin(create(Array.from({ length: size }, plan)));
    }
  }, TICK_MS);

  function begin(work: Promise<void>): void {
    underWay.add(work);
    void work
      .catch((error: unknown) => offences.push(`A client failed: ${String(error)}`))
      .finally(() => underWay.delete(work));
  }

  function plan(): Plan {
    count += 1;
    const order: Order = {
      title: `soak ${count}`,
      priority: random.pick(TASK_PRIORITIES) ?? 'MEDIUM',
      payload: { durationMs: random.whole(0, 300) },
      ...(random.chance(0.8) && { idempotencyKey: `soak ${count}` }),
    };
    const kind = random.next();
    if (kind < 0.05) return { order: fails(order, random.whole(1, 2), 3) };
    if (kind < 0.09) return { order: fails(order, 1, 1), next: 'RETRY' };
    if (kind < 0.11) return { order: timesOut(order) };
    if (kind < 0.14) return { order: { ...order, runAt: inMs(random.whole(500, 4_000)) } };
    if (kind < 0.2) {
      const durationMs = random.whole(0, 2_000);
      const next = random.chance(0.5) ? 'CANCEL' : 'CANCEL_AND_RETRY';
      return { order: { ...order, payload: { durationMs } }, next };
    }
    return { order };
  }

  async function create(plans: readonly Plan[]): Promise<void> {
    const orders = plans.map(({ order }) => order);
    const isRepeatable = orders.every(({ idempotencyKey }) => idempotencyKey !== undefined);
    for (let attempt = 1; attempt <= (isRepeatable ? MAX_REPEATS : 1); attempt += 1) {
      const sentAt = performance.now();
      const answer = await createOnce(orders);
      if ('got' in answer) {
        latenciesMs.push(performance.now() - sentAt);
        if (attempt > 1) repeated += 1;
        for (const id of answer.got) acknowledged.add(id);
        if (isRepeatable && random.chance(0.03)) await repeatNeedlessly(orders, answer.got);
        await Promise.all(plans.map(({ next }, index) => follow(answer.got[index], next)));
        return;
      }
      note(answer.error);
      await pause(random.whole(100, 1_000));
    }
  }

  /** Over either API: they share the idempotency keys. */
  function createOnce(orders: readonly Order[]): Promise<Answer<string[]>> {
    const [order] = orders;
    return order !== undefined && orders.length === 1 && random.chance(0.5)
      ? createByRest(anyUrl(), order)
      : createByGraphql(anyUrl(), orders);
  }

  async function repeatNeedlessly(orders: readonly Order[], ids: readonly string[]): Promise<void> {
    const answer = await createOnce(orders);
    if ('error' in answer) note(answer.error);
    else if (answer.got.join() !== ids.join()) {
      offences.push(`A repeated create was answered with ${answer.got}, after ${ids}.`);
    }
  }

  async function follow(id: string | undefined, next: Plan['next']): Promise<void> {
    if (id === undefined) offences.push('A create was answered with too few tasks.');
    if (id === undefined || next === undefined) return;
    if (next === 'RETRY') return retry(id, random.whole(1_000, 5_000));
    await pause(random.whole(0, 600));
    const answer = await (random.chance(0.5) ? cancelByRest : cancelByGraphql)(anyUrl(), id);
    if ('error' in answer) return note(answer.error);
    if (answer.got !== 'CANCELLED') offences.push(`Cancelling ${id} left it ${answer.got}.`);
    cancelled.add(id);
    if (next === 'CANCEL_AND_RETRY') await retry(id, random.whole(0, 500));
  }

  async function retry(id: string, afterMs: number): Promise<void> {
    await pause(afterMs);
    const answer = await retryTask(anyUrl(), id);
    if ('error' in answer) note(answer.error);
    else retried.add(id);
  }

  function note(error: string): void {
    errors.set(error, (errors.get(error) ?? 0) + 1);
    if (INEXCUSABLE.test(error)) offences.push(`A client was answered ${error} at ${inMs(0)}.`);
  }

  function anyUrl(): string {
    return random.pick(urls) ?? '';
  }

  return {
    acknowledged,
    cancelled,
    retried,
    errors,
    latenciesMs,
    offences,
    get repeated() {
      return repeated;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

function fails(order: Order, failAttempts: number, maxAttempts: number): Order {
  return { ...order, maxAttempts, payload: { ...order.payload, failAttempts } };
}

function timesOut(order: Order): Order {
  return { ...order, timeoutSeconds: 1, maxAttempts: 1, payload: { durationMs: 1_500 } };
}

function inMs(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

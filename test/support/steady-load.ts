import { expect, onTestFinished, vi } from 'vitest';
import { TASK_PRIORITIES } from '../../src/domain/task.ts';
import { createByRest, type Order } from './client.ts';

/** Clients that create tasks at a steady pace, whatever becomes of their requests. */
export interface SteadyLoad {
  /** Ids that the service has acknowledged. */
  readonly acknowledged: readonly string[];
  /** What went wrong for whom, and when. */
  readonly failures: readonly Failure[];
  untilAcknowledged(count: number): Promise<void>;
  /** Creates nothing more; resolves when every request has been answered, or has failed. */
  stop(): Promise<void>;
}

export interface Failure {
  /** Of the task that was asked for. */
  title: string;
  url: string;
  /** A status such as `REST 503`, or a code such as `ECONNREFUSED`. */
  error: string;
  askedAt: Date;
  at: Date;
}

/**
 * Each client asks the next of the services at `urls` by turns; what fails is not repeated.
 * @param options.order short tasks of all priorities when not given
 */
export function startSteadyLoad(options: {
  urls: readonly string[];
  perSecond: number;
  order?: (count: number) => Order;
}): SteadyLoad {
  const { urls, perSecond, order = shortTask } = options;
  const acknowledged: string[] = [];
  const failures: Failure[] = [];
  const underWay = new Set<Promise<void>>();
  const startedAt = performance.now();
  let count = 0;

  async function create(): Promise<void> {
    count += 1;
    const url = urls[count % urls.length] ?? '';
    const wanted = order(count);
    const askedAt = new Date();
    const answer = await createByRest(url, wanted);
    if ('got' in answer) acknowledged.push(...answer.got);
    else failures.push({ title: wanted.title, url, error: answer.error, askedAt, at: new Date() });
  }

  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1_000) * perSecond;
    // Not all at once what could not be done while this process was busy.
    for (let burst = 0; count < due && burst < MAX_BURST; burst += 1) {
      const work = create().finally(() => underWay.delete(work));
      underWay.add(work);
    }
  }, TICK_MS);
  onTestFinished(() => clearInterval(timer));

  return {
    acknowledged,
    failures,
    async untilAcknowledged(count) {
      await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThanOrEqual(count), {
        timeout: 60_000,
        interval: 20,
      });
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

const TICK_MS = 10;
const MAX_BURST = 4;

function shortTask(count: number): Order {
  const priority = TASK_PRIORITIES[count % TASK_PRIORITIES.length] ?? 'LOW';
  return { title: `task ${count}`, priority, payload: { durationMs: 20 } };
}

import { expect, test, vi } from 'vitest';
import { breaches } from '../support/ledger.ts';
import { report } from '../support/measure.ts';
import { setNodeStage, untilCompleted } from '../support/node-stage.ts';
import type { RabbitNode } from '../support/rabbit-node.ts';
import { createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { scaled } from './scale.ts';

/** Longer than a worker keeps a message (30 s), and clearly shorter than the task. */
const CONSUMER_TIMEOUT_SECONDS = scaled(40, 60);
const LONG_TASK_SECONDS = scaled(70, 180);
const TICK_SECONDS = 2;

test(
  "a task that outlasts RabbitMQ's consumer timeout completes in one run, costs no channel, and lets the next one wait",
  async () => {
    const { env, ledger, node } = await setNodeStage({
      consumerTimeoutSeconds: CONSUMER_TIMEOUT_SECONDS,
      channelTickSeconds: TICK_SECONDS,
    });
    const [api, worker] = await Promise.all([startApi({ env }), startWorker(env)]);
    const { id } = await createTask(api.url, {
      payload: { durationMs: LONG_TASK_SECONDS * 1_000 },
    });
    await vi.waitFor(async () => expect(await ledger.count('IN_PROGRESS')).toBe(1), WAIT);
    const before = await consumersOf(node);
    expect(before).toHaveLength(3);
    const next = await createTask(api.url, { payload: { durationMs: 20 } });

    await untilCompleted(ledger, 2, (LONG_TASK_SECONDS + 30) * 1_000);
    const long = await ledger.task(id);
    expect(breaches([long])).toEqual([]);
    expect(long.history.map(({ status }) => status)).toEqual([
      'NEW',
      'PENDING',
      'IN_PROGRESS',
      'COMPLETED',
    ]);

    const { attempt, workerId, startedAt } = await ledger.task(next.id);
    expect({ attempt, workerId }).toEqual({ attempt: 1, workerId: long.workerId });
    const nextMs = Number(startedAt) - Number(long.finishedAt);
    report(
      `a task of ${LONG_TASK_SECONDS} s, consumer timeout ${CONSUMER_TIMEOUT_SECONDS} s: completed; ` +
        `the next one started ${nextMs} ms later`,
    );
    expect(nextMs).toBeGreaterThanOrEqual(0);
    expect(nextMs).toBeLessThan(5_000);
    // Neither of RabbitMQ, nor of a message that is taken for lost while it waits.
    expect(worker.lines.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(await consumersOf(node)).toEqual(before);
  },
  (LONG_TASK_SECONDS + 120) * 1_000,
);

const WAIT = { timeout: 30_000, interval: 50 };

/** Who takes tasks, by the channel that RabbitMQ runs for it: a new channel is another one. */
async function consumersOf(node: RabbitNode): Promise<string[]> {
  const columns = ['queue_name', 'channel_pid'];
  const rows = await node.ctl('list_consumers', '--no-table-headers', ...columns);
  return rows
    .split('\n')
    .filter((row) => row.startsWith('tasks.'))
    .sort();
}

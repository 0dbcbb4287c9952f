import { connect } from 'amqplib';
import { expect, test, vi } from 'vitest';
import { contractBreaches, type StoredTask } from '../support/histories.ts';
import { breaches } from '../support/ledger.ts';
import { median, report } from '../support/measure.ts';
import { setNodeStage } from '../support/node-stage.ts';
import type { RabbitNode } from '../support/rabbit-node.ts';
import { createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';

const ALARMS = [
  {
    kind: 'memory',
    raise: ['set_vm_memory_high_watermark', '0'],
    end: ['set_vm_memory_high_watermark', '0.9'],
  },
  {
    kind: 'disk',
    raise: ['set_disk_free_limit', '1000000GB'],
    end: ['set_disk_free_limit', '1MB'],
  },
];

/** However long it has taken to raise the alarm, one of these ends after about as long again. */
const RUNNING_SECONDS = [4, 8, 16, 32, 64, 128];

test.each(ALARMS)(
  'a $kind alarm of RabbitMQ: creating works, what runs settles, and the rest goes out within 5 s of its end',
  async ({ kind, raise, end }) => {
    const { env, ledger, node } = await setNodeStage();
    const roomy = { ...env, WORKER_CONCURRENCY: 'LOW=6,MEDIUM=4' };
    const [api, worker] = await Promise.all([startApi({ env }), startWorker(roomy)]);
    const alarm = await watchAlarm(node);
    for (const seconds of RUNNING_SECONDS) {
      await createTask(api.url, { priority: 'LOW', payload: { durationMs: seconds * 1_000 } });
    }
    await vi.waitFor(async () => expect(await started()).toHaveLength(6), WAIT);
    await node.ctl(...raise);
    await alarm.raised();
    const done = await ledger.count('COMPLETED');

    const created: { status: string; tookMs: number }[] = [];
    async function create(): Promise<void> {
      const before = performance.now();
      const { status } = await createTask(api.url, { payload: { durationMs: 20 } });
      created.push({ status, tookMs: performance.now() - before });
    }
    // The first one finds out, then ten callers at a time know.
    await create();
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(Array.from({ length: 10 }, create));
    }
    expect(new Set(created.map(({ status }) => status))).toEqual(new Set(['NEW']));
    await vi.waitFor(
      async () => expect(await ledger.count('COMPLETED')).toBeGreaterThan(done),
      LONG_WAIT,
    );
    await vi.waitFor(async () => {
      const inProgress = await ledger.count('IN_PROGRESS');
      expect(await unacknowledged(node)).toBeLessThanOrEqual(inProgress);
    }, WAIT);
    expect(alarm.hasEnded()).toBe(false);

    const endedAt = alarm.ended.then(() => ledger.now());
    await node.ctl(...end);
    const late = await vi.waitFor(async () => {
      const tasks = await ledger.tasks();
      const those = tasks.filter(({ priority }) => priority === 'MEDIUM');
      expect(breaches(those)).toEqual([]);
      return those;
    }, WAIT);

    expect(late).toHaveLength(51);
    const all = await ledger.tasks();
    expect(all.flatMap(contractBreaches)).toEqual([]);
    expect(all.filter(({ attempt }) => attempt !== 1)).toEqual([]);
    const [firstMs = 0, ...othersMs] = created.map(({ tookMs }) => Math.round(tookMs));
    const lastSentMs = Math.max(...late.map(sentAt)) - Number(await endedAt);
    report(
      `${kind} alarm: the first create took ${firstMs} ms, the others ${median(othersMs)} ms (median) and ` +
        `${Math.max(...othersMs)} ms (most); all 51 tasks went out by ${lastSentMs} ms after its end`,
    );
    // Nobody waits for the confirmation that will not come, which would take 5 s.
    expect(Math.max(firstMs, ...othersMs)).toBeLessThan(4_000);
    expect(lastSentMs).toBeLessThan(5_000);
    expect([api.isRunning, worker.isRunning]).toEqual([true, true]);

    async function started(): Promise<StoredTask[]> {
      return (await ledger.tasks()).filter(({ startedAt }) => startedAt !== null);
    }
  },
  300_000,
);

const WAIT = { timeout: 30_000, interval: 100 };
const LONG_WAIT = { timeout: 150_000, interval: 100 };

interface Alarm {
  /** Resolves once RabbitMQ takes no messages. */
  raised(): Promise<void>;
  /** Resolves as soon as it takes messages again. */
  readonly ended: Promise<void>;
  hasEnded(): boolean;
}

/** RabbitMQ tells of an alarm those who publish in spite of it. */
async function watchAlarm({ url }: RabbitNode): Promise<Alarm> {
  const connection = await connect(url);
  // It ends with the node: RabbitMQ would not even read a goodbye from who is blocked.
  connection.on('error', () => {});
  const channel = await connection.createChannel();
  const ended = Promise.withResolvers<void>();
  let state: 'none' | 'raised' | 'ended' = 'none';
  connection.on('blocked', () => {
    state = 'raised';
  });
  connection.on('unblocked', () => {
    state = 'ended';
    ended.resolve();
  });
  return {
    ended: ended.promise,
    hasEnded: () => state === 'ended',
    async raised() {
      await vi.waitFor(() => {
        if (state === 'none') channel.publish('', 'nobody', Buffer.from('is it on yet?'));
        expect(state).toBe('raised');
      }, WAIT);
    },
  };
}

/** How many messages of all queues are in the hands of workers. */
async function unacknowledged(node: RabbitNode): Promise<number> {
  const counts = await node.ctl('list_queues', '--no-table-headers', 'messages_unacknowledged');
  return counts.split('\n').reduce((sum, count) => sum + Number(count), 0);
}

/** When RabbitMQ confirmed it. */
function sentAt({ history }: StoredTask): number {
  return Math.max(
    ...history.filter(({ status }) => status === 'PENDING').map(({ at }) => Date.parse(at)),
  );
}

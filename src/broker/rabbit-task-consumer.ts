import type { Channel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import { TASK_PRIORITIES } from '../domain/task.ts';
import type { Broker, TaskConsumer, TaskDelivery } from './broker.ts';
import { decodeTaskMessage } from './message-codec.ts';
import type { ChannelKeeping, Session } from './rabbit-channel.ts';
import { keepChannel } from './rabbit-channel.ts';
import type { RabbitNames } from './rabbit-names.ts';

/** Chosen here rather than by RabbitMQ: it can then be cancelled even before it is confirmed. */
const CONSUMER_TAG = 'tasks';

type Consuming = ChannelKeeping & { names: RabbitNames; log: Logger };

/** See `Broker.consumeTasks`: a channel for each priority, since the prefetch counts per channel. */
export async function consumeRabbitTasks(
  { slots, onTask }: Parameters<Broker['consumeTasks']>[0],
  { names, ...rest }: Consuming,
): Promise<TaskConsumer> {
  const lanes = TASK_PRIORITIES.filter((priority) => slots[priority] > 0).map((priority) =>
    openLane({ ...rest, onTask, queue: names.taskQueue[priority], prefetch: slots[priority] }),
  );
  await Promise.all(lanes.map(({ tried }) => tried));
  return {
    async stop() {
      await Promise.all(lanes.map((lane) => lane.stop()));
    },
  };
}

function openLane({
  queue,
  prefetch,
  onTask,
  log,
  ...keeping
}: Omit<Consuming, 'names'> & {
  queue: string;
  prefetch: number;
  onTask: (delivery: TaskDelivery) => void;
}) {
  let current: { session: Session<Channel>; unsettled: number } | undefined;
  let stopping = false;

  const kept = keepChannel<Channel>({
    ...keeping,
    part: `consuming ${queue}`,
    open: (link) => link.openChannel(),
    async setUp(session) {
      const { channel, link } = session;
      current = { session, unsettled: 0 };
      await link.within(channel.prefetch(prefetch));
      if (stopping) return;
      const consuming = channel.consume(queue, (message) => receive(session, message), {
        consumerTag: CONSUMER_TAG,
      });
      await link.within(consuming);
    },
    onGone() {
      current = undefined;
    },
  });

  function receive(session: Session<Channel>, message: ConsumeMessage | null): void {
    if (message === null) {
      session.abandon(new Error(`RabbitMQ cancelled the consumer: queue "${queue}" was deleted`));
    } else if (stopping) {
      unlessGone(() => session.channel.nack(message));
    } else {
      handOver(session, message);
    }
  }

  function handOver(session: Session<Channel>, message: ConsumeMessage): void {
    const { channel } = session;
    if (current?.session === session) current.unsettled++;
    let settled = false;
    function once(act: () => void): void {
      if (settled) return;
      settled = true;
      unlessGone(act);
      if (current?.session === session) current.unsettled--;
      closeIfDone();
    }
    try {
      onTask({
        message: decodeTaskMessage(message.content),
        ack: () => once(() => channel.ack(message)),
        requeue: () => once(() => channel.nack(message)),
      });
    } catch (err) {
      log.warn({ err, queue }, 'a message that nobody can handle goes to the dead letter queue');
      once(() => channel.nack(message, false, false));
    }
  }

  function closeIfDone(): void {
    if (stopping && current?.unsettled === 0) void kept.close();
  }

  return {
    tried: kept.tried,
    async stop(): Promise<void> {
      stopping = true;
      kept.retire();
      if (!current) return;
      const { channel, link } = current.session;
      await link.within(channel.cancel(CONSUMER_TAG)).catch(() => {
        // The channel is gone, and with it the consumer.
      });
      closeIfDone();
    },
  };
}

/** Settles on the channel of the delivery. Once that is gone the delivery is void: its message went to someone else. */
function unlessGone(settle: () => void): void {
  try {
    settle();
  } catch {
    // amqplib throws when the channel is closed or closing.
  }
}

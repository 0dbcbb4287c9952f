import type { Channel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import { TASK_PRIORITIES } from '../domain/task.ts';
import type { Broker, TaskConsumer, TaskDelivery } from './broker.ts';
import { decodeTaskMessage } from './message-codec.ts';
import type { ChannelKeeping, Session } from './rabbit-channel.ts';
import { keepChannel } from './rabbit-channel.ts';
import { createDeliveries, type Deliveries } from './rabbit-deliveries.ts';
import type { RabbitNames } from './rabbit-names.ts';

/** Chosen here rather than by RabbitMQ: it can then be cancelled even before it is confirmed. */
const CONSUMER_TAG = 'tasks';

type Consuming = ChannelKeeping & { names: RabbitNames; log: Logger };

/** See `Broker.consumeTasks`: a channel for each priority, since what is acknowledged up to a message is so on its channel. */
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
  let current: { session: Session<Channel>; deliveries: Deliveries } | undefined;
  let stopping = false;

  const kept = keepChannel<Channel>({
    ...keeping,
    part: `consuming ${queue}`,
    open: (link) => link.openChannel(),
    async setUp(session) {
      const { channel, link } = session;
      const deliveries = createDeliveries(channel, closeIfDone);
      current = { session, deliveries };
      await link.within(channel.prefetch(prefetch));
      if (stopping) return;
      const consuming = channel.consume(queue, (message) => receive(session, deliveries, message), {
        consumerTag: CONSUMER_TAG,
      });
      await link.within(consuming);
    },
    onGone() {
      current = undefined;
    },
  });

  function receive(
    session: Session<Channel>,
    deliveries: Deliveries,
    message: ConsumeMessage | null,
  ): void {
    if (message === null) {
      session.abandon(new Error(`RabbitMQ cancelled the consumer of the queue "${queue}"`));
      return;
    }
    deliveries.add(message);
    if (stopping) deliveries.nack(message, { requeue: true });
    else handOver(deliveries, message);
  }

  function handOver(deliveries: Deliveries, message: ConsumeMessage): void {
    try {
      onTask({
        message: decodeTaskMessage(message.content),
        ack: () => deliveries.ack(message),
        requeue: () => deliveries.nack(message, { requeue: true }),
      });
    } catch (err) {
      log.warn({ err, queue }, 'a message that nobody can handle goes to the dead letter queue');
      deliveries.nack(message, { requeue: false });
    }
  }

  function closeIfDone(): void {
    if (stopping && current?.deliveries.size === 0) void kept.close();
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

import type { Channel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import type { EventStream } from './broker.ts';
import type { ChannelKeeping, Session } from './rabbit-channel.ts';
import { keepChannel } from './rabbit-channel.ts';

/** What RabbitMQ keeps for a process that does not read; the oldest go first. Nobody but us sees this queue. */
const QUEUE_BOUNDS = {
  'x-max-length': 100_000,
  'x-max-length-bytes': 64 * 1024 * 1024,
  'x-overflow': 'drop-head',
};

/** What an exchange carries, as far as it is bound, in a queue of our own that comes back when it was lost. */
export async function openRabbitStream({
  exchange,
  onMessage,
  onGap,
  log,
  ...keeping
}: ChannelKeeping & {
  exchange: string;
  /** What it throws is logged. */
  onMessage: (message: ConsumeMessage) => void;
  /** Messages may have been missed. */
  onGap: () => void;
  log: Logger;
}): Promise<EventStream> {
  const patterns = new Set<string>();
  let current: { session: Session<Channel>; queue: string } | undefined;
  let isFirst = true;
  /** Has to be told before anything that comes after the gap. */
  let gapPending = false;

  const kept = keepChannel<Channel>({
    ...keeping,
    part: `receiving ${exchange}`,
    open: (link) => link.openChannel(),
    async setUp(session) {
      const { channel, link } = session;
      const { queue } = await link.within(
        channel.assertQueue('', {
          exclusive: true,
          autoDelete: true,
          durable: false,
          arguments: QUEUE_BOUNDS,
        }),
      );
      // From here on bind and unbind speak to RabbitMQ themselves, behind all that is sent in this same turn.
      current = { session, queue };
      gapPending = !isFirst || patterns.size > 0;
      const bound = [...patterns].map((pattern) => channel.bindQueue(queue, exchange, pattern));
      const consuming = channel.consume(queue, (message) => receive(session, message), {
        noAck: true,
      });
      await link.within(Promise.all([...bound, consuming]));
      isFirst = false;
      tellGap();
    },
    onGone() {
      current = undefined;
    },
  });

  function receive({ abandon }: Session<Channel>, message: ConsumeMessage | null): void {
    if (message === null) {
      abandon(new Error(`RabbitMQ cancelled the consumer: our queue at ${exchange} was deleted`));
      return;
    }
    tellGap();
    try {
      onMessage(message);
    } catch (err) {
      const { routingKey } = message.fields;
      log.warn({ err, exchange, routingKey }, 'an event could not be handled');
    }
  }

  function tellGap(): void {
    if (!gapPending) return;
    gapPending = false;
    try {
      onGap();
    } catch (err) {
      log.error({ err, exchange }, 'a gap in the events could not be handled');
    }
  }

  /** Without a queue there is nothing to do: the next one gets all patterns, and `onGap` follows. */
  async function onQueue(act: (channel: Channel, queue: string) => Promise<unknown>) {
    if (!current) return;
    const { session, queue } = current;
    await session.link.within(act(session.channel, queue)).catch(() => {
      // The channel is gone, so the queue is too.
    });
  }

  await kept.tried;
  return {
    bind(pattern) {
      patterns.add(pattern);
      return onQueue((channel, queue) => channel.bindQueue(queue, exchange, pattern));
    },
    unbind(pattern) {
      patterns.delete(pattern);
      return onQueue((channel, queue) => channel.unbindQueue(queue, exchange, pattern));
    },
    close: () => kept.close(),
  };
}

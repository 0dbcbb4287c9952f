import type { Channel, ConsumeMessage } from 'amqplib';
import type { Logger } from 'pino';
import type { TaskDelivery } from './broker.ts';
import { decodeTaskMessage } from './message-codec.ts';
import { type ChannelKeeping, keepChannel } from './rabbit-channel.ts';
import { createDeliveries, type Deliveries } from './rabbit-deliveries.ts';
import { createOffers, type Offer, type Offers } from './rabbit-offers.ts';

export type LaneOptions = ChannelKeeping & {
  queue: string;
  slots: number;
  onTask: (delivery: TaskDelivery) => void;
  log: Logger;
};

export interface Lane {
  /** Resolves once it consumes, or once it is clear that this has to wait for RabbitMQ. */
  readonly tried: Promise<void>;
  /** See `TaskConsumer.stop`. */
  stop(): Promise<void>;
}

/**
 * Takes the tasks of one queue, at most `slots` at a time. A delivery fills its slot until it is settled, also when
 * RabbitMQ does not count it any more, since it was acknowledged early or its channel is gone: its task still runs.
 */
export function openLane({ queue, slots, onTask, log, ...keeping }: LaneOptions): Lane {
  let free = slots;
  let current: Current | undefined;
  let stopping = false;

  const kept = keepChannel<Channel>({
    ...keeping,
    part: `consuming ${queue}`,
    open: (link) => link.openChannel(),
    async setUp(session) {
      const deliveries = createDeliveries(session.channel, closeIfDone);
      const offers = createOffers(session, {
        queue,
        free: () => free,
        onMessage: (message, offer) => receive({ deliveries, offers }, message, offer),
      });
      current = { deliveries, offers };
      if (!stopping) await offers.begin();
    },
    onGone() {
      current = undefined;
    },
  });

  function receive(from: Current, message: ConsumeMessage, offer: Offer): void {
    from.deliveries.add(message);
    if (stopping || free === 0) void refuse(from, message, offer);
    else handOver(from, message, offer);
  }

  /**
   * RabbitMQ believes in a slot that is not free: it may have given messages to others whose tasks still run here. What
   * goes back while it does would come again at once, and again.
   */
  async function refuse({ deliveries, offers }: Current, message: ConsumeMessage, offer: Offer) {
    await offers.withdraw(offer);
    deliveries.nack(message, { requeue: true });
  }

  function handOver({ deliveries, offers }: Current, message: ConsumeMessage, offer: Offer): void {
    const leaveSlot = fillSlot(offer);
    try {
      onTask({
        message: decodeTaskMessage(message.content),
        ack() {
          leaveSlot();
          deliveries.ack(message);
        },
        ackEarly() {
          // In this order, so that RabbitMQ sends nothing in its place.
          void offers.withdraw(offer).then(() => deliveries.ack(message));
        },
        requeue() {
          leaveSlot();
          deliveries.nack(message, { requeue: true });
        },
      });
    } catch (err) {
      log.warn({ err, queue }, 'a message that nobody can handle goes to the dead letter queue');
      leaveSlot();
      deliveries.nack(message, { requeue: false });
    }
  }

  /** @returns how to leave it; a second time does nothing */
  function fillSlot(offer: Offer): () => void {
    let filled = true;
    free -= 1;
    offer.filled += 1;
    return () => {
      if (!filled) return;
      filled = false;
      free += 1;
      offer.filled -= 1;
      current?.offers.follow();
    };
  }

  function closeIfDone(): void {
    if (stopping && current?.deliveries.size === 0) void kept.close();
  }

  return {
    tried: kept.tried,
    async stop() {
      stopping = true;
      kept.retire();
      await current?.offers.end().catch(() => {
        // The channel is gone, and with it its consumers.
      });
      closeIfDone();
    },
  };
}

/** What the present channel has. */
interface Current {
  deliveries: Deliveries;
  offers: Offers;
}

import type { Channel, ConsumeMessage } from 'amqplib';
import type { Session } from './rabbit-channel.ts';

/** Slots that RabbitMQ may fill: a consumer, whose prefetch is their number. */
export interface Offer {
  readonly consumerTag: string;
  readonly slots: number;
  /** How many of them are filled, as RabbitMQ counts: with messages that are not acknowledged yet. */
  filled: number;
}

export interface Offers {
  /** Offers what is free and not offered yet. Throws when RabbitMQ does not take it. */
  begin(): Promise<void>;
  /** The same in the background. When RabbitMQ does not take it, the channel is given up. */
  follow(): void;
  /** Takes an offer back, but for what RabbitMQ has filled already, before anything that is sent on the channel later. */
  withdraw(offer: Offer): void;
  /** Takes everything back, and offers nothing any more. Nothing comes once it resolves. Throws when the channel is gone. */
  end(): Promise<void>;
}

/**
 * Offers slots to RabbitMQ on one channel. It fixes a consumer's prefetch for as long as that lives, and counts only
 * messages that it has sent to it and that are not acknowledged. So slots that become free beyond that are an offer of
 * their own, and slots that RabbitMQ would count as free too early are withdrawn, with the offer that they are part of.
 * Once all are free again, one offer takes the place of several.
 */
export function createOffers(
  { channel, link, abandon }: Session<Channel>,
  options: {
    queue: string;
    slots: number;
    /** How many of them are free. */
    free: () => number;
    onMessage: (message: ConsumeMessage, offer: Offer) => void;
  },
): Offers {
  const { queue, slots, free, onMessage } = options;
  const open = new Set<Offer>();
  let made = 0;
  let busy = false;
  let ended = false;

  async function offerAllFree(): Promise<void> {
    // Whoever is at it looks again.
    if (busy) return;
    busy = true;
    try {
      for (;;) {
        if (shouldJoin()) await takeAllBack();
        const left = free() - offered();
        if (ended || left <= 0) return;
        await offer(left);
      }
    } finally {
      busy = false;
    }
  }

  function shouldJoin(): boolean {
    return open.size > 1 && free() === slots;
  }

  /** Slots that RabbitMQ may fill at any moment. */
  function offered(): number {
    let sum = 0;
    for (const one of open) sum += one.slots - one.filled;
    return sum;
  }

  async function offer(count: number): Promise<void> {
    await link.within(channel.prefetch(count));
    if (ended) return;
    made += 1;
    // Named here rather than by RabbitMQ, so that it can be cancelled before it is confirmed.
    const one: Offer = { consumerTag: `tasks-${made}`, slots: count, filled: 0 };
    open.add(one);
    const receive = (message: ConsumeMessage | null) => {
      if (message === null) abandon(cancelledByServer());
      else onMessage(message, one);
    };
    await link.within(channel.consume(queue, receive, { consumerTag: one.consumerTag }));
  }

  function cancelledByServer(): Error {
    return new Error(`RabbitMQ cancelled the consumer of the queue "${queue}"`);
  }

  async function takeBack(one: Offer): Promise<void> {
    open.delete(one);
    await link.within(channel.cancel(one.consumerTag));
  }

  async function takeAllBack(): Promise<void> {
    await Promise.all([...open].map(takeBack));
  }

  function giveUp(error: unknown): void {
    abandon(error instanceof Error ? error : new Error(String(error)));
  }

  return {
    begin: offerAllFree,
    follow() {
      if (free() > offered() || shouldJoin()) offerAllFree().catch(giveUp);
    },
    withdraw(one) {
      if (open.has(one)) takeBack(one).then(offerAllFree).catch(giveUp);
    },
    async end() {
      ended = true;
      await takeAllBack();
    },
  };
}

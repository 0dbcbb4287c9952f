import type { Channel, ConsumeMessage } from 'amqplib';
import type { Session } from './rabbit-channel.ts';

/** Slots that RabbitMQ may fill: a consumer, whose prefetch is their number. */
export interface Offer {
  readonly consumerTag: string;
  readonly slots: number;
  /** How many of them are filled, as RabbitMQ counts: with messages that are not acknowledged yet. */
  filled: number;
  /** Once it is to be taken back: until RabbitMQ has confirmed that. */
  withdrawal?: Promise<void>;
}

export interface Offers {
  /** Offers what is free and not offered yet. Throws when RabbitMQ does not take it. */
  begin(): Promise<void>;
  /** The same in the background. When RabbitMQ does not take it, the channel is given up. */
  follow(): void;
  /**
   * Takes an offer back, but for what is filled of it. Once this resolves RabbitMQ fills no more of it, whatever is
   * acknowledged or given back; and what else is free of it is offered anew. Never throws.
   */
  withdraw(offer: Offer): Promise<void>;
  /** Takes everything back, and offers nothing any more. Nothing comes once it resolves. Throws when the channel is gone. */
  end(): Promise<void>;
}

/**
 * Offers slots to RabbitMQ on one channel. It fixes a consumer's prefetch for as long as that lives, and counts only
 * messages that it has sent to it and that are not acknowledged. So slots that become free beyond that are an offer of
 * their own, and slots that RabbitMQ would count as free too early are withdrawn, with the offer that they are part of.
 * Offers of which nothing is filled are joined to one.
 */
export function createOffers(
  { channel, link, abandon }: Session<Channel>,
  options: {
    queue: string;
    /** How many slots are free. */
    free: () => number;
    onMessage: (message: ConsumeMessage, offer: Offer) => void;
  },
): Offers {
  const { queue, free, onMessage } = options;
  /** RabbitMQ may fill them until it has confirmed that they are withdrawn. */
  const open = new Set<Offer>();
  let made = 0;
  let busy = false;
  let ended = false;
  let lastTurn = Promise.resolve();

  async function offerAllFree(): Promise<void> {
    // Whoever is at it looks again.
    if (busy) return;
    busy = true;
    try {
      while (!ended && shouldOffer()) {
        await Promise.all(empty().map(takeBack));
        await inTurn(offerFree);
      }
    } finally {
      busy = false;
    }
  }

  function shouldOffer(): boolean {
    return free() > offered() || empty().length > 1;
  }

  /** Slots that RabbitMQ may fill at any moment. */
  function offered(): number {
    let sum = 0;
    for (const { slots, filled } of open) sum += slots - filled;
    return sum;
  }

  function empty(): Offer[] {
    return [...open].filter(({ filled }) => filled === 0);
  }

  async function offerFree(): Promise<void> {
    const slots = free() - offered();
    if (ended || slots <= 0) return;
    await link.within(channel.prefetch(slots));
    if (ended) return;
    made += 1;
    // Named here rather than by RabbitMQ, so that it can be cancelled before it is confirmed.
    const offer: Offer = { consumerTag: `tasks-${made}`, slots, filled: 0 };
    open.add(offer);
    const receive = (message: ConsumeMessage | null) => {
      if (message === null) abandon(cancelledByServer());
      else onMessage(message, offer);
    };
    await link.within(channel.consume(queue, receive, { consumerTag: offer.consumerTag }));
  }

  function cancelledByServer(): Error {
    return new Error(`RabbitMQ cancelled the consumer of the queue "${queue}"`);
  }

  function takeBack(offer: Offer): Promise<void> {
    offer.withdrawal ??= inTurn(async () => {
      await link.within(channel.cancel(offer.consumerTag));
      open.delete(offer);
    });
    return offer.withdrawal;
  }

  /** amqplib asks RabbitMQ one thing after the other. Each has its own time for an answer only if the next waits here. */
  function inTurn(ask: () => Promise<void>): Promise<void> {
    const turn = lastTurn.then(ask);
    lastTurn = turn.catch(() => {});
    return turn;
  }

  function follow(): void {
    if (shouldOffer()) offerAllFree().catch(giveUp);
  }

  function giveUp(error: unknown): void {
    abandon(error instanceof Error ? error : new Error(String(error)));
  }

  return {
    begin: offerAllFree,
    follow,
    async withdraw(offer) {
      await takeBack(offer).catch(giveUp);
      follow();
    },
    async end() {
      ended = true;
      await Promise.all([...open].map(takeBack));
    },
  };
}

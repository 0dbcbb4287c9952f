import type { Channel, ConsumeMessage } from 'amqplib';

/** What a channel has delivered and nobody has settled yet. */
export interface Deliveries {
  readonly size: number;
  /** Takes one in, in the order in which they arrive. */
  add(message: ConsumeMessage): void;
  /** Done with it: it leaves the queue, by the end of this turn of the event loop. A second settling is ignored. */
  ack(message: ConsumeMessage): void;
  /** It goes back to the queue, or to where the queue puts what nobody can handle. A second settling is ignored. */
  nack(message: ConsumeMessage, options: { requeue: boolean }): void;
}

/**
 * Acknowledges what gets done in one turn of the event loop together: up to the first that is still held by one frame,
 * which costs RabbitMQ one command to its log instead of one per message; what is beyond that by one each.
 *
 * Once the channel is gone settling does nothing: the deliveries are void, their messages went to someone else.
 */
export function createDeliveries(channel: Channel, onSettled: () => void): Deliveries {
  const held = new Set<ConsumeMessage>();
  const done = new Set<ConsumeMessage>();

  function acknowledge() {
    let last: ConsumeMessage | undefined;
    for (const message of held) {
      if (!done.delete(message)) break;
      held.delete(message);
      last = message;
    }
    if (last !== undefined) ackOne(last, true);
    for (const message of done) {
      held.delete(message);
      ackOne(message, false);
    }
    done.clear();
    onSettled();
  }

  function ackOne(message: ConsumeMessage, allUpTo: boolean) {
    unlessGone(() => channel.ack(message, allUpTo));
  }

  return {
    get size() {
      return held.size;
    },
    add(message) {
      held.add(message);
    },
    ack(message) {
      if (!held.has(message)) return;
      if (done.size === 0) process.nextTick(acknowledge);
      done.add(message);
    },
    nack(message, { requeue }) {
      if (done.has(message) || !held.delete(message)) return;
      unlessGone(() => channel.nack(message, false, requeue));
      onSettled();
    },
  };
}

function unlessGone(settle: () => void): void {
  try {
    settle();
  } catch {
    // amqplib throws when the channel is closed or closing.
  }
}

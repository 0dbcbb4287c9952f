import type { Channel } from 'amqplib';
import type { Logger } from 'pino';
import type { TaskChange, TaskProgress } from '../domain/task.ts';
import { encodeTaskChange, encodeTaskProgress } from './message-codec.ts';
import { cancelsRun, eventRoutingKey, progressPattern } from './messages.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import { keepChannel } from './rabbit-channel.ts';
import type { RabbitNames } from './rabbit-names.ts';

/** More than this is not kept for a RabbitMQ that does not read: subscribers get it from the database. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** Events in the channel's buffer before it counts as full: few, since each may be as large as a request's body. */
const HIGH_WATER_MARK = 64;

export interface EventPublisher {
  /** See `Broker.publishEvents`. */
  publishChanges(changes: readonly TaskChange[]): void;
  /** See `Broker.publishProgress`. */
  publishProgress(progress: readonly TaskProgress[]): void;
}

export function createEventPublisher({
  names,
  log,
  ...keeping
}: ChannelKeeping & { names: RabbitNames; log: Logger }): EventPublisher {
  let channel: Channel | undefined;
  /** Written since the channel's buffer was last seen with room in it. */
  let waitingBytes = 0;
  let dropped = 0;

  keepChannel<Channel>({
    ...keeping,
    part: 'publishing events',
    open: (link) => link.openChannel({ highWaterMark: HIGH_WATER_MARK }),
    async setUp({ channel: fresh }) {
      waitingBytes = 0;
      fresh.on('drain', () => {
        waitingBytes = 0;
        reportDropped();
      });
      channel = fresh;
      reportDropped();
    },
    onGone() {
      channel = undefined;
    },
  });

  function publish(exchange: string, routingKey: string, encode: () => Buffer): void {
    try {
      if (!channel || waitingBytes > MAX_WAITING_BYTES) drop();
      else publishOn(channel, exchange, routingKey, encode());
    } catch (err) {
      // The channel closed under our hands, or the event cannot be encoded: best effort either way.
      log.debug({ err }, 'an event was not published');
      drop();
    }
  }

  function publishOn(open: Channel, exchange: string, routingKey: string, content: Buffer): void {
    const options = { persistent: false, contentType: 'application/json' };
    const roomLeft = open.publish(exchange, routingKey, content, options);
    waitingBytes = roomLeft ? 0 : waitingBytes + content.length;
  }

  function drop(): void {
    if (dropped === 0) {
      log.warn(
        'RabbitMQ takes no events now: dropping them, subscribers get them from the database',
      );
    }
    dropped++;
  }

  function reportDropped(): void {
    if (dropped > 0) log.info({ dropped }, 'RabbitMQ takes events again');
    dropped = 0;
  }

  return {
    publishChanges(changes) {
      for (const change of changes) {
        const encode = () => encodeTaskChange(change);
        publish(names.eventsExchange, eventRoutingKey(change), encode);
        if (cancelsRun(change)) publish(names.cancellationsExchange, '', encode);
      }
    },
    publishProgress(progress) {
      for (const one of progress)
        publish(names.eventsExchange, progressPattern(one.taskId), () => encodeTaskProgress(one));
    },
  };
}

import type { Channel } from 'amqplib';
import type { Logger } from 'pino';
import type { TaskChange, TaskProgress } from '../domain/task.ts';
import { encodeTaskChange, encodeTaskProgress } from './message-codec.ts';
import { cancelsRun, eventRoutingKey, progressPattern } from './messages.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import { keepChannel } from './rabbit-channel.ts';
import type { ChannelFrames } from './rabbit-channel-frames.ts';
import type { RabbitNames } from './rabbit-names.ts';
import type { JsonMessage } from './rabbit-publish-frames.ts';
import { createPublishEncoder } from './rabbit-publish-frames.ts';

/** More than this is not kept for a RabbitMQ that does not read: subscribers get it from the database. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** Events are sent in pieces that end once they have so many characters, lest task messages wait for all of them. */
const MAX_PIECE_LENGTH = 64 * 1024;

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
  let outlet: Outlet | undefined;
  let dropped = 0;

  keepChannel<Channel>({
    ...keeping,
    part: 'publishing events',
    // What amqplib holds beyond it still counts as waiting.
    open: (link) => link.openChannel({ highWaterMark: 1 }),
    async setUp({ channel, link }) {
      const frames = link.framesOn(channel);
      const encoderFor = (exchange: string) =>
        createPublishEncoder({ channel: frames.number, frameMax: frames.frameMax, exchange });
      const events = encoderFor(names.eventsExchange);
      const cancellations = encoderFor(names.cancellationsExchange);
      outlet = { frames, encode: { events, cancellations } };
      channel.on('drain', reportDropped);
      reportDropped();
    },
    onGone() {
      outlet = undefined;
    },
  });

  function publish<Event>(
    to: Target,
    events: readonly Event[],
    toMessage: (event: Event) => JsonMessage,
  ): void {
    let piece: JsonMessage[] = [];
    let length = 0;
    function flush(): void {
      if (piece.length > 0) send(to, piece);
      piece = [];
      length = 0;
    }
    for (const event of events) {
      const message = takesEvents() ? tryTo(() => toMessage(event)) : undefined;
      if (message === undefined) {
        drop(1);
      } else {
        piece.push(message);
        length += message.body.length;
      }
      if (length >= MAX_PIECE_LENGTH) flush();
    }
    flush();
  }

  function takesEvents(): boolean {
    return outlet !== undefined && outlet.frames.waitingBytes <= MAX_WAITING_BYTES;
  }

  function send(to: Target, piece: readonly JsonMessage[]): void {
    const sent = tryTo(() => outlet?.frames.send(outlet.encode[to](piece)));
    if (sent !== true) drop(piece.length);
  }

  /** An event that cannot be encoded must not fail what it tells of: best effort. */
  function tryTo<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (err) {
      log.debug({ err }, 'an event was not published');
      return undefined;
    }
  }

  function drop(count: number): void {
    if (dropped === 0) {
      log.warn(
        'RabbitMQ takes no events now: dropping them, subscribers get them from the database',
      );
    }
    dropped += count;
  }

  function reportDropped(): void {
    if (dropped > 0) log.info({ dropped }, 'RabbitMQ takes events again');
    dropped = 0;
  }

  return {
    publishChanges(changes) {
      publish('events', changes, (change) => ({
        routingKey: eventRoutingKey(change),
        body: encodeTaskChange(change),
      }));
      publish('cancellations', changes.filter(cancelsRun), (change) => ({
        routingKey: '',
        body: encodeTaskChange(change),
      }));
    },
    publishProgress(progress) {
      publish('events', progress, (one) => ({
        routingKey: progressPattern(one.taskId),
        body: encodeTaskProgress(one),
      }));
    },
  };
}

/** The exchanges that events go to. */
type Target = 'events' | 'cancellations';

/** The way out that the present channel is. */
interface Outlet {
  frames: ChannelFrames;
  encode: Record<Target, (messages: readonly JsonMessage[]) => Buffer>;
}

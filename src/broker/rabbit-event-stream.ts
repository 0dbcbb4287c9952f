import type { Logger } from 'pino';
import type { EventStream, EventStreamListener } from './broker.ts';
import { decodeTaskChange, decodeTaskProgress } from './message-codec.ts';
import { isProgressKey } from './messages.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import type { RabbitNames } from './rabbit-names.ts';
import { openRabbitStream } from './rabbit-stream.ts';

/** See `Broker.openEventStream`. */
export function openRabbitEventStream(
  { onChange, onProgress, onGap }: EventStreamListener,
  { names, ...receiving }: ChannelKeeping & { names: RabbitNames; log: Logger },
): Promise<EventStream> {
  return openRabbitStream({
    ...receiving,
    exchange: names.eventsExchange,
    onMessage({ content, fields }) {
      if (isProgressKey(fields.routingKey)) onProgress(decodeTaskProgress(content));
      else onChange(decodeTaskChange(content));
    },
    onGap,
  });
}

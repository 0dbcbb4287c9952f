import type { Logger } from 'pino';
import type { CancellationListener, Cancellations } from './broker.ts';
import { decodeTaskChange } from './message-codec.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import type { RabbitNames } from './rabbit-names.ts';
import { openRabbitStream } from './rabbit-stream.ts';

/** See `Broker.openCancellations`. */
export async function openRabbitCancellations(
  { onCancelled, onGap }: CancellationListener,
  { names, ...receiving }: ChannelKeeping & { names: RabbitNames; log: Logger },
): Promise<Cancellations> {
  const stream = await openRabbitStream({
    ...receiving,
    exchange: names.cancellationsExchange,
    onMessage: ({ content }) => onCancelled(decodeTaskChange(content)),
    onGap,
  });
  // A fanout exchange gives all it has, whatever the pattern.
  await stream.bind('');
  return stream;
}

import { BrokerUnavailable } from './broker.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import { repairInBackground } from './rabbit-channel.ts';

/** See `Broker.queueDepth`. On a channel of its own: asking for a queue that is gone costs the channel. */
export async function readQueueDepth(keeping: ChannelKeeping, queue: string): Promise<number> {
  const { link } = keeping.connection;
  if (!link) throw new BrokerUnavailable('Not connected to RabbitMQ');
  try {
    const channel = await link.openChannel();
    try {
      const { messageCount } = await link.within(channel.checkQueue(queue));
      return messageCount;
    } finally {
      await link.closeChannel(channel);
    }
  } catch (cause) {
    repairInBackground(keeping, link);
    throw new BrokerUnavailable(`RabbitMQ did not tell the depth of "${queue}"`, { cause });
  }
}

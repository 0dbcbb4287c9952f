import { BrokerUnavailable } from './broker.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import { repairInBackground } from './rabbit-channel.ts';

/**
 * See `Broker.queueDepth`. On a channel of its own: asking for a queue that is gone costs the channel.
 *
 * Of a quorum queue that does not answer within 250 ms RabbitMQ says what it says of one that is empty and has no
 * consumers: no messages, no consumers (`rabbit_quorum_queue:stat/2`).
 */
export async function readQueueDepth(
  keeping: ChannelKeeping,
  queue: string,
): Promise<number | undefined> {
  const { link } = keeping.connection;
  if (!link) throw new BrokerUnavailable('Not connected to RabbitMQ');
  try {
    const channel = await link.openChannel();
    try {
      const { messageCount, consumerCount } = await link.within(channel.checkQueue(queue));
      return messageCount === 0 && consumerCount === 0 ? undefined : messageCount;
    } finally {
      await link.closeChannel(channel);
    }
  } catch (cause) {
    repairInBackground(keeping, link);
    throw new BrokerUnavailable(`RabbitMQ did not tell the depth of "${queue}"`, { cause });
  }
}

import { Writable } from 'node:stream';
import type { Channel } from 'amqplib';
import { z } from 'zod';

/** A way past amqplib's own `publish`, for frames that were made in another way. */
export interface ChannelFrames {
  /** The channel's number, which each of its frames bears. */
  readonly number: number;
  /** Bytes that a frame may have at most. */
  readonly frameMax: number;
  /** Handed to `send`, but not to the socket yet. The channel's 'drain' tells when there are none any more. */
  readonly waitingBytes: number;
  /**
   * Sends whole frames behind all that was sent on the channel before. Never throws.
   * @returns false when nothing is sent, since the channel is closed or is about to be
   */
  send(frames: Buffer): boolean;
}

/**
 * Uses the buffer that amqplib keeps for each channel. It writes what is in there piece by piece to the socket, each
 * whole, in order, and in turn with the other channels' pieces. The channel's close goes through the same buffer, so
 * nothing overtakes it either way; straight to the socket, all that waits would be ahead of the task messages.
 *
 * @param isOpen whether neither side has begun to close the channel. Frames behind its close are frames of a channel
 * that does not exist: RabbitMQ closes the connection for that
 */
export function framesOn(channel: Channel, isOpen: () => boolean): ChannelFrames {
  const { ch, connection } = findInside(channel);
  const place = connection.channels[ch];
  // Its number may be another channel's by now.
  if (place?.channel !== channel) throw new Error(`Channel ${ch} is closed`);
  const { buffer } = place;
  let waitingBytes = 0;
  return {
    number: ch,
    frameMax: connection.frameMax,
    get waitingBytes() {
      return waitingBytes;
    },
    send(frames) {
      if (!isOpen()) return false;
      const { length } = frames;
      waitingBytes += length;
      buffer.write(frames, () => {
        waitingBytes -= length;
      });
      return true;
    },
  };
}

/** amqplib does not show any of this; tests notice if it is not found there any more. */
function findInside(channel: Channel) {
  const { data, error } = channelInside.safeParse(channel);
  if (data !== undefined) return data;
  throw new Error('This version of amqplib keeps its buffers elsewhere.', { cause: error });
}

const channelInside = z.object({
  ch: z.int(),
  connection: z.object({
    frameMax: z.int(),
    channels: z.array(
      z.object({ channel: z.unknown(), buffer: z.instanceof(Writable) }).nullable(),
    ),
  }),
});

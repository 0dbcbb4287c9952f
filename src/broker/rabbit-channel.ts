import type { Channel } from 'amqplib';
import type { Backoff } from './rabbit-backoff.ts';
import { createBackoff } from './rabbit-backoff.ts';
import type { RabbitConnection } from './rabbit-connection.ts';
import type { RabbitLink } from './rabbit-link.ts';
import type { OutageLog } from './rabbit-outage-log.ts';
import type { Topology } from './rabbit-topology.ts';

/** A channel that comes back, whether it was lost with its connection or closed alone. */
export interface KeptChannel {
  /** Resolves once the channel is set up, or once it is clear that this has to wait for RabbitMQ. */
  readonly tried: Promise<void>;
  /** Lets it live, but does not replace it any more. */
  retire(): void;
  /** What was sent before has arrived when this resolves, if RabbitMQ is there. Never throws. */
  close(): Promise<void>;
}

/** What the parts of the broker have in common. */
export interface ChannelKeeping {
  connection: RabbitConnection;
  outages: OutageLog;
  /** Declares what may have been deleted under a channel, which is why RabbitMQ closes one. */
  repair: Topology['repair'];
}

export interface Session<C extends Channel> {
  channel: C;
  link: RabbitLink;
  /** Gives this channel up, to get a new one. */
  abandon(reason: Error): void;
}

export function keepChannel<C extends Channel>({
  connection,
  outages,
  repair,
  part,
  open,
  setUp,
  onGone,
}: ChannelKeeping & {
  /** What it is for, in the log. */
  part: string;
  open: (link: RabbitLink) => Promise<C>;
  /** Makes a fresh channel useful. Throws when it cannot: another one is tried later. */
  setUp: (session: Session<C>) => Promise<void>;
  /** The channel that `setUp` got is of no use any more. */
  onGone: () => void;
}): KeptChannel {
  const tried = Promise.withResolvers<void>();
  const backoff: Backoff = createBackoff();
  let retired = false;
  let current: { channel: C; link: RabbitLink } | undefined;
  void keep();

  async function keep(): Promise<void> {
    while (!retired) {
      await connection.tried;
      if (!connection.link) tried.resolve();
      const link = await connection.nextLink();
      if (!link) break;
      await keepOn(link);
    }
    tried.resolve();
  }

  async function keepOn(link: RabbitLink): Promise<void> {
    let suspect = false;
    while (!retired && !link.lost.aborted) {
      try {
        if (suspect) await repair(link);
        await useOneChannel(link);
      } catch (error) {
        if (retired || link.lost.aborted) return;
        outages.failed(part, error instanceof Error ? error : new Error(String(error)));
        tried.resolve();
        suspect = true;
        await backoff.wait(link.lost);
      }
    }
  }

  /** Opens a channel and returns when it was closed by us; throws when it was lost. */
  async function useOneChannel(link: RabbitLink): Promise<void> {
    const channel = await open(link);
    const closed = Promise.withResolvers<void>();
    let reason: Error | undefined;
    channel.on('error', (error) => {
      reason ??= error;
    });
    channel.on('close', closed.resolve);
    current = { channel, link };
    try {
      if (retired) return;
      await setUp({ channel, link, abandon });
      outages.works(part);
      tried.resolve();
      await closed.promise;
    } finally {
      current = undefined;
      onGone();
      await link.closeChannel(channel);
    }
    if (!retired) throw reason ?? new Error('Channel closed');

    function abandon(why: Error): void {
      reason ??= why;
      void link.closeChannel(channel);
    }
  }

  return {
    tried: tried.promise,
    retire() {
      retired = true;
    },
    async close() {
      retired = true;
      if (current) await current.link.closeChannel(current.channel);
    },
  };
}

/** For whoever finds a queue gone without losing a channel over it. */
export function repairInBackground({ repair, outages }: ChannelKeeping, link: RabbitLink): void {
  const part = 'declaring queues';
  repair(link).then(
    () => outages.works(part),
    (error) => {
      if (!link.lost.aborted) outages.failed(part, error);
    },
  );
}

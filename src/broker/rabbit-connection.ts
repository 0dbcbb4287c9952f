import type { Backoff } from './rabbit-backoff.ts';
import { createBackoff } from './rabbit-backoff.ts';
import type { LinkOptions, RabbitLink } from './rabbit-link.ts';
import { openLink } from './rabbit-link.ts';
import type { OutageLog } from './rabbit-outage-log.ts';

/** A connection that comes back: links that follow one another. */
export interface RabbitConnection {
  /** The present link, if there is one. */
  readonly link: RabbitLink | undefined;
  /** Resolves when it has connected, or has failed to for the first time. */
  readonly tried: Promise<void>;
  /** The present link or the next one; undefined once the connection is closed. */
  nextLink(): Promise<RabbitLink | undefined>;
  /** Never throws, takes no longer than `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

/**
 * Connects in the background and again after each loss, for as long as it takes.
 *
 * A loop of our own instead of amqplib's recovery: that one cannot abort an attempt or leave a dead link (both of which
 * `close` and a missed confirmation need), and it restores neither channels nor what they were set up with, which is
 * most of the work and is done in rabbit-channel.ts for lost connections and lost channels alike.
 */
export function createRabbitConnection({
  setUp,
  outages,
  onUnblocked,
  ...options
}: Omit<LinkOptions, 'signal' | 'onBlocked'> & {
  /** Runs on each new link before anybody gets it. */
  setUp: (link: RabbitLink) => Promise<void>;
  outages: OutageLog;
}): RabbitConnection {
  const closing = new AbortController();
  const backoff: Backoff = createBackoff();
  const part = `connection "${options.name}"`;
  let link: RabbitLink | undefined;
  let settingUp: RabbitLink | undefined;
  const tried = Promise.withResolvers<void>();
  let next = Promise.withResolvers<RabbitLink | undefined>();
  const stopped = keepConnected();

  async function keepConnected(): Promise<void> {
    while (!closing.signal.aborted) {
      const error = await useOneLink();
      tried.resolve();
      if (closing.signal.aborted) break;
      outages.failed(part, error);
      await backoff.wait(closing.signal);
    }
    next.resolve(undefined);
  }

  /** Connects and returns when that link is over, with the reason. */
  async function useOneLink(): Promise<Error> {
    try {
      const opened = await openReadyLink();
      link = opened;
      next.resolve(opened);
      tried.resolve();
      outages.works(part);
      const reason = await aborted(opened.lost);
      link = undefined;
      next = Promise.withResolvers();
      return reason;
    } catch (error) {
      return toError(error);
    }
  }

  async function openReadyLink(): Promise<RabbitLink> {
    const opened = await openLink({
      ...options,
      signal: closing.signal,
      onBlocked: (reason) => outages.failed(part, reason),
      onUnblocked() {
        outages.works(part);
        onUnblocked();
      },
    });
    settingUp = opened;
    try {
      closing.signal.throwIfAborted();
      await setUp(opened);
      return opened;
    } catch (error) {
      await opened.close(options.answerTimeoutMs);
      throw error;
    } finally {
      settingUp = undefined;
    }
  }

  return {
    get link() {
      return link?.lost.aborted ? undefined : link;
    },
    tried: tried.promise,
    nextLink: () => next.promise,
    async close(timeoutMs) {
      closing.abort();
      await (link ?? settingUp)?.close(timeoutMs);
      await stopped;
    },
  };
}

async function aborted(signal: AbortSignal): Promise<Error> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  return toError(signal.reason);
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

import { Duplex } from 'node:stream';
import type { Channel, ChannelOptions, ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { BrokerUnavailable } from './broker.ts';
import { joinWrites } from './join-writes.ts';
import type { ChannelFrames } from './rabbit-channel-frames.ts';
import { framesOn } from './rabbit-channel-frames.ts';
import { surviveEarlyErrors } from './rabbit-early-errors.ts';

const HEARTBEAT_SECONDS = 10;
const CONNECT_TIMEOUT_MS = 5_000;

/** One connection to RabbitMQ, from being open to being lost. It is never repaired, only replaced. */
export interface RabbitLink {
  /** Aborts when the connection is lost or closed, with the reason. */
  readonly lost: AbortSignal;
  /** RabbitMQ is short of memory or disk and takes no messages over this connection for now. */
  readonly blocked: boolean;
  openChannel(options?: ChannelOptions): Promise<Channel>;
  openConfirmChannel(): Promise<ConfirmChannel>;
  /** For frames that amqplib did not make, on a channel of this link. @throws Error when the channel is closed */
  framesOn(channel: Channel): ChannelFrames;
  /** Closes it unless it is closed already; what was sent on it before has then arrived. Never throws. */
  closeChannel(channel: Channel): Promise<void>;
  /**
   * Waits for an answer, but not for ever: a link that is silent for too long is taken for dead and dropped (unless
   * it is blocked: then the silence has a reason). @throws BrokerUnavailable when the time is up or the link is lost
   */
  within<T>(answer: Promise<T>): Promise<T>;
  /** The same for a confirmation, which does not come while the link is blocked: then it throws at once. */
  confirmed<T>(answer: Promise<T>): Promise<T>;
  /** Lets what was sent arrive and says goodbye, if that is possible in `timeoutMs`. Never throws. */
  close(timeoutMs: number): Promise<void>;
}

export interface LinkOptions {
  url: string;
  /** Shown in RabbitMQ's list of connections. */
  name: string;
  /** How long RabbitMQ may be silent when it is to answer. */
  answerTimeoutMs: number;
  /** Gives up while connecting. */
  signal: AbortSignal;
  onBlocked: (reason: Error) => void;
  onUnblocked: () => void;
}

export async function openLink(options: LinkOptions): Promise<RabbitLink> {
  const lost = new AbortController();
  // amqplib cannot leave a dead connection: its close() waits for an answer. But Node lets a signal destroy a socket.
  const socket = new AbortController();
  const { model, stream } = await connectWithin(options, socket);
  const closings = new Map<Channel, Promise<void>>();
  /** Those that neither side has begun to close. */
  const usable = new Set<Channel>();
  const gone = Promise.withResolvers<void>();
  let blocked: BrokerUnavailable | undefined;
  /** Those who wait for a confirmation that does not come while an alarm lasts. */
  const refusals = new Set<(reason: BrokerUnavailable) => void>();
  let closing: Promise<void> | undefined;
  let failure: Error | undefined;

  function drop(reason: Error): void {
    lost.abort(reason);
    socket.abort(reason);
  }
  model.on('error', (error) => {
    failure = error;
  });
  model.on('close', (error) => {
    drop(error ?? failure ?? new Error('Connection closed'));
    gone.resolve();
  });
  // It may have been closed before anybody could listen to the model.
  function onStreamClosed(): void {
    drop(failure ?? new Error('Connection closed'));
    gone.resolve();
  }
  stream.once('close', onStreamClosed);
  if (stream.destroyed) onStreamClosed();
  model.on('blocked', () => {
    // It says so when somebody publishes, and confirms nothing before the alarm is over.
    blocked = new BrokerUnavailable(BLOCKED);
    for (const refuse of refusals) refuse(blocked);
    options.onBlocked(blocked);
  });
  model.on('unblocked', () => {
    blocked = undefined;
    options.onUnblocked();
  });

  async function within<T>(answer: Promise<T>): Promise<T> {
    const giveUp = Promise.withResolvers<never>();
    function onLost(): void {
      const { reason: cause } = lost.signal;
      giveUp.reject(new BrokerUnavailable('Connection to RabbitMQ lost', { cause }));
    }
    function onSilence(): void {
      const error = silence(blocked !== undefined, options.answerTimeoutMs);
      giveUp.reject(error);
      if (blocked === undefined) drop(error);
    }
    if (lost.signal.aborted) onLost();
    lost.signal.addEventListener('abort', onLost);
    const cancelTimer = startTimer(options.answerTimeoutMs, onSilence);
    try {
      return await Promise.race([answer, giveUp.promise]);
    } finally {
      cancelTimer();
      lost.signal.removeEventListener('abort', onLost);
    }
  }

  async function confirmed<T>(answer: Promise<T>): Promise<T> {
    const refusal = Promise.withResolvers<never>();
    if (blocked !== undefined) refusal.reject(blocked);
    refusals.add(refusal.reject);
    try {
      // A promise that outlives the race would keep each of its results for as long.
      return await Promise.race([within(answer), refusal.promise]);
    } finally {
      refusals.delete(refusal.reject);
    }
  }

  function watched<C extends Channel>(channel: C): C {
    const closing = Promise.withResolvers<void>();
    closings.set(channel, closing.promise);
    usable.add(channel);
    channel.on('close', () => {
      usable.delete(channel);
      closings.delete(channel);
      closing.resolve();
    });
    // An 'error' that nobody listens to would end the process; what matters is the 'close' that follows it.
    channel.on('error', () => {});
    return channel;
  }

  async function closeChannel(channel: Channel): Promise<void> {
    usable.delete(channel);
    // It rejects when that is closing already and never settles when the connection dies first: the event tells.
    channel.close().catch(() => {});
    await closings.get(channel);
  }

  async function sayGoodbye(): Promise<void> {
    // The channels first: the connection's goodbye would overtake what they still have to send.
    await Promise.all([...closings.keys()].map(closeChannel));
    model.close().catch(() => {});
    await gone.promise;
  }

  async function close(timeoutMs: number): Promise<void> {
    lost.abort(new Error('Connection closed by this process'));
    const timeUp = Promise.withResolvers<void>();
    const cancelTimer = startTimer(timeoutMs, timeUp.resolve);
    await Promise.race([sayGoodbye(), timeUp.promise]);
    cancelTimer();
    socket.abort();
  }

  return {
    lost: lost.signal,
    get blocked() {
      return blocked !== undefined;
    },
    openChannel: async (wanted) => watched(await within(model.createChannel(wanted))),
    openConfirmChannel: async () => watched(await within(model.createConfirmChannel())),
    framesOn: (channel) => framesOn(channel, () => usable.has(channel)),
    closeChannel: (channel) => within(closeChannel(channel)).catch(() => {}),
    within,
    confirmed,
    close(timeoutMs) {
      closing ??= close(timeoutMs);
      return closing;
    },
  };
}

async function connectWithin({ url, name, signal }: LinkOptions, socket: AbortController) {
  const giveUp = () => socket.abort(signal.reason);
  signal.addEventListener('abort', giveUp);
  const cancelTimer = startTimer(CONNECT_TIMEOUT_MS, () => socket.abort());
  try {
    signal.throwIfAborted();
    const socketOptions = {
      noDelay: true,
      keepAlive: true,
      keepAliveDelay: HEARTBEAT_SECONDS * 1_000,
      clientProperties: { connection_name: name },
      signal: socket.signal,
    };
    surviveEarlyErrors();
    const model = await connect(withHeartbeat(url), socketOptions);
    // amqplib does not show its socket; tests notice if it is not found there any more.
    if ('stream' in model.connection && model.connection.stream instanceof Duplex) {
      joinWrites(model.connection.stream);
      return { model, stream: model.connection.stream };
    }
    throw new Error('This version of amqplib keeps its socket elsewhere.');
  } catch (cause) {
    if (!socket.signal.aborted) throw cause;
    throw new Error(`No connection within ${CONNECT_TIMEOUT_MS} ms`, { cause });
  } finally {
    cancelTimer();
    signal.removeEventListener('abort', giveUp);
  }
}

function withHeartbeat(url: string): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) {
    parsed.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS));
  }
  return parsed.href;
}

/** Like `setTimeout`, but when this process was too busy to read, it reads once more before it judges. */
function startTimer(timeoutMs: number, onTimeUp: () => void): () => void {
  let judging: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    judging = setImmediate(onTimeUp);
  }, timeoutMs);
  return () => {
    clearTimeout(timer);
    clearImmediate(judging);
  };
}

const BLOCKED = 'RabbitMQ takes no messages now (memory or disk alarm)';

function silence(blocked: boolean, timeoutMs: number): BrokerUnavailable {
  return new BrokerUnavailable(
    blocked ? BLOCKED : `RabbitMQ did not answer within ${timeoutMs} ms`,
  );
}

import type { ConfirmChannel } from 'amqplib';
import { BrokerUnavailable } from './broker.ts';
import { encodeTaskMessage } from './message-codec.ts';
import type { TaskMessage } from './messages.ts';
import type { ChannelKeeping, Session } from './rabbit-channel.ts';
import { keepChannel, repairInBackground } from './rabbit-channel.ts';
import type { RabbitNames } from './rabbit-names.ts';

/** Messages on their way at the same time, per call: enough to hide the round trip, little enough for one deadline. */
const WINDOW = 1_000;

export interface TaskPublisher {
  readonly ready: boolean;
  /** See `Broker.publishTasks`. */
  publish(messages: readonly TaskMessage[]): Promise<void>;
}

export function createTaskPublisher({
  names,
  onReady,
  ...keeping
}: ChannelKeeping & { names: RabbitNames; onReady: () => void }): TaskPublisher {
  let session: Session<ConfirmChannel> | undefined;
  let sent = 0;
  /** Ids of messages that RabbitMQ sent back for want of a queue. The confirmation of each follows. */
  const returned = new Set<string>();

  keepChannel<ConfirmChannel>({
    ...keeping,
    part: 'publishing tasks',
    open: (link) => link.openConfirmChannel(),
    async setUp(fresh) {
      returned.clear();
      fresh.channel.on('return', ({ properties }) => returned.add(String(properties.messageId)));
      session = fresh;
      onReady();
    },
    onGone() {
      session = undefined;
    },
  });

  async function publish(messages: readonly TaskMessage[]): Promise<void> {
    for (let start = 0; start < messages.length; start += WINDOW) {
      await publishWindow(messages.slice(start, start + WINDOW));
    }
  }

  async function publishWindow(messages: readonly TaskMessage[]): Promise<void> {
    if (!session) throw new BrokerUnavailable('Not connected to RabbitMQ');
    const { channel, link } = session;
    try {
      // Waiting for an alarm to end would hold up every request; as NEW the tasks go out when it does.
      if (link.blocked) await link.confirmed(Promise.resolve());
      await link.confirmed(Promise.all(messages.map((message) => publishOne(channel, message))));
    } catch (error) {
      if (error instanceof Unroutable) repairInBackground(keeping, link);
      throw error instanceof BrokerUnavailable ? error : unconfirmed(error);
    }
  }

  function publishOne(channel: ConfirmChannel, message: TaskMessage): Promise<void> {
    const messageId = String(++sent);
    return new Promise((resolve, reject) => {
      function onConfirm(error: unknown): void {
        if (error) reject(error);
        else if (returned.delete(messageId)) reject(new Unroutable(message));
        else resolve();
      }
      channel.publish(
        names.tasksExchange,
        message.priority,
        encodeTaskMessage(message),
        { persistent: true, mandatory: true, contentType: 'application/json', messageId },
        onConfirm,
      );
    });
  }

  return {
    get ready() {
      return session !== undefined && !session.link.lost.aborted && !session.link.blocked;
    },
    publish,
  };
}

/** No queue is bound for it: somebody deleted the queue or its binding. */
class Unroutable extends BrokerUnavailable {
  constructor({ priority }: TaskMessage) {
    super(`RabbitMQ has no queue for tasks of priority ${priority}; it is being declared again`);
  }
}

function unconfirmed(cause: unknown): BrokerUnavailable {
  return new BrokerUnavailable('RabbitMQ did not confirm the message', { cause });
}

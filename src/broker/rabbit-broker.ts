import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TaskPriority } from '../domain/task.ts';
import type { Broker } from './broker.ts';
import { BrokerUnavailable } from './broker.ts';
import { openRabbitCancellations } from './rabbit-cancellations.ts';
import type { ChannelKeeping } from './rabbit-channel.ts';
import { createRabbitConnection } from './rabbit-connection.ts';
import { createEventPublisher } from './rabbit-event-publisher.ts';
import { openRabbitEventStream } from './rabbit-event-stream.ts';
import { rabbitNames } from './rabbit-names.ts';
import { createOutageLog } from './rabbit-outage-log.ts';
import { readQueueDepth } from './rabbit-queue-depth.ts';
import { consumeRabbitTasks } from './rabbit-task-consumer.ts';
import { createTaskPublisher } from './rabbit-task-publisher.ts';
import { createTopology } from './rabbit-topology.ts';

const CLOSE_TIMEOUT_MS = 2_000;

/**
 * The broker on RabbitMQ (3.10 or later). Returns at once and connects in the background; `ready` says when it has.
 *
 * Two connections, as RabbitMQ advises: one that only publishes and one that only consumes. When RabbitMQ runs out of
 * memory it stops reading from who publishes; acknowledgements have to get through all the same, or it never recovers.
 */
export function createRabbitBroker({
  url,
  log,
  name = 'async-task-manager',
  namespace,
  confirmTimeoutMs = 5_000,
}: {
  url: string;
  log: Logger;
  /** Shown in RabbitMQ's list of connections. */
  name?: string;
  /** Prefix of every exchange's and queue's name. */
  namespace?: string;
  /** How long RabbitMQ may take to confirm a message, or to answer anything else, before it is taken for dead. */
  confirmTimeoutMs?: number;
}): Broker {
  const names = rabbitNames(namespace);
  const outages = createOutageLog(log);
  const { declare, repair } = createTopology(names);
  const listeners = new Set<() => void>();
  let closing: Promise<void> | undefined;

  function connect(purpose: string, onUnblocked: () => void): ChannelKeeping {
    const connection = createRabbitConnection({
      url,
      name: `${name} ${purpose}`,
      answerTimeoutMs: confirmTimeoutMs,
      setUp: declare,
      outages,
      onUnblocked,
    });
    return { connection, outages, repair };
  }

  function announceReady(): void {
    for (const listener of listeners) {
      try {
        listener();
      } catch (err) {
        log.error({ err }, 'a listener to the return of RabbitMQ failed');
      }
    }
  }

  const publishing = connect('publisher', () => tasks.ready && announceReady());
  const consuming = connect('consumer', () => {});
  // Events first: whoever is told of the return publishes both.
  const events = createEventPublisher({ ...publishing, names, log });
  const tasks = createTaskPublisher({ ...publishing, names, onReady: announceReady });

  function assertOpen(): void {
    if (closing) throw new BrokerUnavailable('The broker is closed');
  }

  async function closeAll(): Promise<void> {
    // What was acknowledged in this turn is sent at its end.
    await nextTurn();
    const connections = [publishing.connection, consuming.connection];
    await Promise.all(connections.map((connection) => connection.close(CLOSE_TIMEOUT_MS)));
  }

  return {
    get ready() {
      return !closing && tasks.ready;
    },
    isRemote: true,
    onReady(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    publishTasks: (messages) => tasks.publish(messages),
    async consumeTasks(options) {
      assertOpen();
      return consumeRabbitTasks(options, { ...consuming, names, log });
    },
    async queueDepth(priority: TaskPriority) {
      assertOpen();
      return readQueueDepth(consuming, names.taskQueue[priority]);
    },
    publishEvents: (changes) => events.publishChanges(changes),
    publishProgress: (progress) => events.publishProgress(progress),
    async openEventStream(listener) {
      assertOpen();
      return openRabbitEventStream(listener, { ...consuming, names, log });
    },
    async openCancellations(listener) {
      assertOpen();
      return openRabbitCancellations(listener, { ...consuming, names, log });
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

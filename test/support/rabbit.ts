import { randomUUID } from 'node:crypto';
import type { Channel } from 'amqplib';
import { connect } from 'amqplib';
import { inject, onTestFinished } from 'vitest';
import type { RabbitNames } from '../../src/broker/rabbit-names.ts';
import { rabbitNames } from '../../src/broker/rabbit-names.ts';
import { TASK_PRIORITIES } from '../../src/domain/task.ts';

export const RABBIT_URL = requireRabbit();

/** The same RabbitMQ, reached through another port of this machine. */
export function rabbitUrlAt(port: number): string {
  const url = new URL(RABBIT_URL);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return url.href;
}

export const RABBIT_PORT = Number(new URL(RABBIT_URL).port || 5672);

export interface RabbitNamespace {
  namespace: string;
  names: RabbitNames;
  /** A way in past the broker under test, for breaking and inspecting things. A new channel each time. */
  admin(): Promise<Channel>;
}

/** Names of the test's own; whatever is declared under them goes away with the test. */
export async function useRabbitNamespace(): Promise<RabbitNamespace> {
  const namespace = `test-${randomUUID()}`;
  const names = rabbitNames(namespace);
  const connection = await connect(RABBIT_URL);
  connection.on('error', () => {});

  async function admin(): Promise<Channel> {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    return channel;
  }

  onTestFinished(async () => {
    const channel = await admin();
    const queues = [names.dead, ...TASK_PRIORITIES.map((priority) => names.taskQueue[priority])];
    for (const queue of queues) await channel.deleteQueue(queue);
    const exchanges = [
      names.tasksExchange,
      names.dead,
      names.eventsExchange,
      names.cancellationsExchange,
    ];
    for (const exchange of exchanges) await channel.deleteExchange(exchange);
    await connection.close();
  });
  return { namespace, names, admin };
}

function requireRabbit(): string {
  const { rabbitmqUrl } = inject('services');
  if (rabbitmqUrl === undefined) {
    throw new Error(
      'This suite needs RabbitMQ. Start one with `make api-only`, or set TEST_RABBITMQ_URL.',
    );
  }
  return rabbitmqUrl;
}

import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import type { RabbitNames } from '../../src/broker/rabbit-names.ts';
import { rabbitNames } from '../../src/broker/rabbit-names.ts';
import { TASK_PRIORITIES } from '../../src/domain/task.ts';

export const RABBIT_URL = process.env.TEST_RABBITMQ_URL ?? 'amqp://guest:guest@127.0.0.1:5672';

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
  const connection = await connectOrExplain();
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
    const exchanges = [names.tasksExchange, names.dead, names.eventsExchange];
    for (const exchange of exchanges) await channel.deleteExchange(exchange);
    await connection.close();
  });
  return { namespace, names, admin };
}

async function connectOrExplain(): Promise<ChannelModel> {
  try {
    return await connect(RABBIT_URL);
  } catch (cause) {
    throw new Error(
      `No RabbitMQ at ${RABBIT_URL}. Start one with "make api-only", or run everything with "make test".`,
      { cause },
    );
  }
}

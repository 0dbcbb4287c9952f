import { connect } from 'amqplib';
import { rabbitNames } from '../../src/broker/rabbit-names.ts';
import type { Site } from '../contender.ts';
import { urlOf } from '../servers.ts';

/** @returns the URL of RabbitMQ with a namespace of its own; what is made in there is deleted at the end */
export function claimNamespace({ servers, name, releases }: Site): string {
  const url = new URL(urlOf(servers, 'RabbitMQ'));
  releases.push('the namespace', () => clear(url.href, name));
  const own = new URL(url);
  own.searchParams.set('namespace', name);
  return own.href;
}

async function clear(url: string, name: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  const { tasksExchange, taskQueue, dead, eventsExchange, cancellationsExchange } =
    rabbitNames(name);
  for (const queue of [...Object.values(taskQueue), dead]) await channel.deleteQueue(queue);
  for (const exchange of [tasksExchange, dead, eventsExchange, cancellationsExchange]) {
    await channel.deleteExchange(exchange);
  }
  await connection.close();
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, Options } from 'amqplib';
import { TASK_PRIORITIES } from '../domain/task.ts';
import type { RabbitLink } from './rabbit-link.ts';
import type { RabbitNames } from './rabbit-names.ts';

/** Retries are counted in PostgreSQL. RabbitMQ 4 would give a message up after 20 returns if it were not told. */
const DELIVERY_LIMIT = 1_000_000;

/** RabbitMQ holds something of that name which is not what this service needs; only a person can resolve it. */
export class TopologyRefused extends Error {
  override readonly name = 'TopologyRefused';
}

/**
 * When a quorum queue is deleted and declared again at once, RabbitMQ (3.10: within 20 ms) takes it for the same one and
 * forgets to tell its consumers, who then wait for ever. Whoever finds a queue gone therefore leaves it gone for a while.
 */
const REPAIR_DELAY_MS = 1_000;

/** Both throw TopologyRefused when something is there with other properties. */
export interface Topology {
  /** Declares every exchange and queue; changes nothing that is there already. */
  declare(link: RabbitLink): Promise<void>;
  /** The same for somebody who has found that something is gone. However many find out, it is done once. */
  repair(link: RabbitLink): Promise<void>;
}

export function createTopology(names: RabbitNames): Topology {
  const repairs = new WeakMap<RabbitLink, Promise<void>>();

  async function repairOnce(link: RabbitLink): Promise<void> {
    try {
      await sleep(REPAIR_DELAY_MS, undefined, { signal: link.lost });
      await declareOn(link, names);
    } finally {
      repairs.delete(link);
    }
  }

  return {
    declare: (link) => declareOn(link, names),
    repair(link) {
      const repair = repairs.get(link) ?? repairOnce(link);
      repairs.set(link, repair);
      return repair;
    },
  };
}

async function declareOn(link: RabbitLink, names: RabbitNames): Promise<void> {
  const channel = await link.openChannel();
  try {
    await declareAll(channel, link, names);
  } finally {
    await link.closeChannel(channel);
  }
}

async function declareAll(channel: Channel, link: RabbitLink, names: RabbitNames): Promise<void> {
  const { tasksExchange, taskQueue, dead, eventsExchange, cancellationsExchange } = names;
  await exchange(dead, 'fanout');
  await queue(dead, quorum);
  await link.within(channel.bindQueue(dead, dead, ''));
  await exchange(tasksExchange, 'direct');
  for (const priority of TASK_PRIORITIES) {
    const name = taskQueue[priority];
    await queue(name, { ...quorum, 'x-dead-letter-exchange': dead, ...unlimited });
    await link.within(channel.bindQueue(name, tasksExchange, priority));
  }
  await exchange(eventsExchange, 'topic');
  await exchange(cancellationsExchange, 'fanout');

  async function exchange(name: string, type: string): Promise<void> {
    const declared = link.within(channel.assertExchange(name, type, { durable: true }));
    await declared.catch(
      refused(
        `Exchange "${name}" exists, but is not a durable ${type} exchange. Delete it (management UI, or ` +
          `"rabbitmqadmin delete exchange name=${name}"); it is declared anew within seconds.`,
      ),
    );
  }

  async function queue(name: string, args: Options.AssertQueue['arguments']): Promise<void> {
    const declared = link.within(channel.assertQueue(name, { durable: true, arguments: args }));
    await declared.catch(
      refused(
        `Queue "${name}" exists with other properties than ${JSON.stringify(args)}. Delete it ("rabbitmqctl ` +
          `delete_queue ${name}"; waiting tasks are sent again); it is declared anew within seconds.`,
      ),
    );
  }
}

const quorum = { 'x-queue-type': 'quorum' };
const unlimited = { 'x-delivery-limit': DELIVERY_LIMIT };

const PRECONDITION_FAILED = 406;
const RESOURCE_LOCKED = 405;

/** Turns RabbitMQ's refusal into a sentence that says what to do. */
function refused(sentence: string): (error: unknown) => never {
  return (error) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === PRECONDITION_FAILED || code === RESOURCE_LOCKED) {
      throw new TopologyRefused(sentence, { cause: error });
    }
    throw error;
  };
}

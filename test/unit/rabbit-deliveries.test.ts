import type { Channel, ConsumeMessage } from 'amqplib';
import { beforeEach, expect, test } from 'vitest';
import { createDeliveries, type Deliveries } from '../../src/broker/rabbit-deliveries.ts';

/** What RabbitMQ is told, such as `ack 3 and all before`. */
let told: string[];
let deliveries: Deliveries;
let settledWith: number[];
let messages: ConsumeMessage[];

beforeEach(() => {
  told = [];
  settledWith = [];
  const channel = {
    ack: (message: ConsumeMessage, allUpTo: boolean) =>
      told.push(`ack ${message.fields.deliveryTag}${allUpTo ? ' and all before' : ''}`),
    nack: (message: ConsumeMessage, _allUpTo: boolean, requeue: boolean) =>
      told.push(`${requeue ? 'requeue' : 'reject'} ${message.fields.deliveryTag}`),
  };
  deliveries = createDeliveries(channel as unknown as Channel, () => {
    settledWith.push(deliveries.size);
  });
  messages = [1, 2, 3, 4, 5, 6].map(
    (deliveryTag) => ({ fields: { deliveryTag } }) as ConsumeMessage,
  );
  for (const message of messages) deliveries.add(message);
});

test('what gets done in one turn is acknowledged up to the first that is held, the rest one by one', async () => {
  ack(3, 1, 2, 6);
  expect(told).toEqual([]);
  await endOfTurn();
  expect(told).toEqual(['ack 3 and all before', 'ack 6']);
  expect(deliveries.size).toBe(2);
  ack(5, 4);
  await endOfTurn();
  expect(told.slice(2)).toEqual(['ack 5 and all before']);
  expect(settledWith).toEqual([2, 0]);
});

test('nothing that is held is acknowledged by what comes after it', async () => {
  ack(2, 3, 4, 5, 6);
  await endOfTurn();
  expect(told).toEqual(['ack 2', 'ack 3', 'ack 4', 'ack 5', 'ack 6']);
});

test('what was given back is not acknowledged, and holds up nothing', async () => {
  nack(1, true);
  nack(2, false);
  ack(1, 3);
  await endOfTurn();
  expect(told).toEqual(['requeue 1', 'reject 2', 'ack 3 and all before']);
});

test('the first settling counts', async () => {
  ack(1, 1);
  nack(1, true);
  await endOfTurn();
  ack(1);
  await endOfTurn();
  expect(told).toEqual(['ack 1 and all before']);
});

function ack(...tags: number[]) {
  for (const tag of tags) deliveries.ack(messageOf(tag));
}

function nack(tag: number, requeue: boolean) {
  deliveries.nack(messageOf(tag), { requeue });
}

function messageOf(tag: number): ConsumeMessage {
  const message = messages[tag - 1];
  if (message === undefined) throw new Error(`no message ${tag}`);
  return message;
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

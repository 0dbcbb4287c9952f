import { EventEmitter } from 'node:events';
import type { ConsumeMessage } from 'amqplib';
import pino from 'pino';
import { beforeEach, expect, test } from 'vitest';
import type { TaskDelivery } from '../../src/broker/broker.ts';
import { encodeTaskMessage } from '../../src/broker/message-codec.ts';
import { type LaneOptions, openLane } from '../../src/broker/rabbit-lane.ts';

/** What RabbitMQ is told of messages, such as `requeue 2`. */
let told: string[];
let taken: TaskDelivery[];
let send: (message: ConsumeMessage) => void;

beforeEach(async () => {
  told = [];
  taken = [];
  const channel = Object.assign(new EventEmitter(), {
    async prefetch() {},
    async consume(_queue: string, receive: typeof send) {
      send = receive;
    },
    async cancel() {},
    ack: ({ fields }: ConsumeMessage) => told.push(`ack ${fields.deliveryTag}`),
    nack: ({ fields }: ConsumeMessage) => told.push(`requeue ${fields.deliveryTag}`),
  });
  const link = {
    lost: new AbortController().signal,
    openChannel: async () => channel,
    closeChannel: async () => {},
    within: <T>(answer: Promise<T>) => answer,
  };
  const keeping = {
    connection: { tried: Promise.resolve(), link, nextLink: async () => link },
    outages: { works() {}, failed() {} },
    repair: async () => {},
  } as unknown as LaneOptions;
  const log = pino({ level: 'silent' });
  const lane = openLane({
    ...keeping,
    queue: 'tasks.high',
    slots: 1,
    onTask: (delivery) => taken.push(delivery),
    log,
  });
  await lane.tried;
});

test('what comes when no slot is free goes back at once', async () => {
  send(message(1));
  send(message(2));
  expect(told).toEqual(['requeue 2']);
  taken[0]?.ackEarly();
  send(message(3));
  expect(told).toEqual(['requeue 2', 'requeue 3']);
  expect(taken).toHaveLength(1);
});

test('a slot is left once, however often its delivery is settled', async () => {
  send(message(1));
  taken[0]?.ack();
  taken[0]?.ack();
  taken[0]?.requeue();
  send(message(2));
  send(message(3));
  expect(taken).toHaveLength(2);
  expect(told).toEqual(['requeue 3']);
});

function message(deliveryTag: number): ConsumeMessage {
  const content = encodeTaskMessage({
    id: '01890000-0000-7000-8000-000000000001',
    priority: 'HIGH',
  });
  return { content, fields: { deliveryTag } } as ConsumeMessage;
}

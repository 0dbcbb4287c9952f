import { EventEmitter } from 'node:events';
import type { ConsumeMessage } from 'amqplib';
import pino from 'pino';
import { beforeEach, expect, test } from 'vitest';
import type { TaskDelivery } from '../../src/broker/broker.ts';
import { encodeTaskMessage } from '../../src/broker/message-codec.ts';
import { type LaneOptions, openLane } from '../../src/broker/rabbit-lane.ts';

/** What RabbitMQ is told after it was asked to take messages, such as `requeue 2`. */
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
    async cancel() {
      told.push('cancel');
      await answered();
      told.push('cancelled');
    },
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

test('what comes when no slot is free goes back, but only when RabbitMQ sends no more', async () => {
  send(message(1));
  send(message(2));
  send(message(3));
  await untilQuiet();
  expect(told).toEqual(['cancel', 'cancelled', 'requeue 2', 'requeue 3']);
  expect(taken).toHaveLength(1);
});

test('what is acknowledged early leaves only when RabbitMQ sends no more, and fills its slot', async () => {
  send(message(1));
  taken[0]?.ackEarly();
  send(message(2));
  await untilQuiet();
  expect(told).toEqual(['cancel', 'cancelled', 'requeue 2', 'ack 1']);
  taken[0]?.ack();
  await untilQuiet();
  send(message(3));
  expect(taken).toHaveLength(2);
});

test('a slot is left once, however often its delivery is settled', async () => {
  send(message(1));
  taken[0]?.ack();
  taken[0]?.ack();
  taken[0]?.requeue();
  send(message(2));
  send(message(3));
  await untilQuiet();
  expect(taken).toHaveLength(2);
  expect(told).toContain('requeue 3');
});

/** RabbitMQ takes its time. */
function answered(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Longer than it takes to cancel and offer all. */
async function untilQuiet(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await answered();
}

function message(deliveryTag: number): ConsumeMessage {
  const content = encodeTaskMessage({
    id: '01890000-0000-7000-8000-000000000001',
    priority: 'HIGH',
  });
  return { content, fields: { deliveryTag } } as ConsumeMessage;
}

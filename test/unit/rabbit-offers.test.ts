import type { Channel, ConsumeMessage } from 'amqplib';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Session } from '../../src/broker/rabbit-channel.ts';
import { createOffers, type Offer, type Offers } from '../../src/broker/rabbit-offers.ts';

const SLOTS = 4;

/** What RabbitMQ is told, such as `offer 3 as tasks-1`. */
let told: string[];
let free: number;
let offers: Offers;
/** The offers that messages came by, in order. */
let filled: Offer[];
let abandoned: string[];
let consumers: Map<string, (message: ConsumeMessage | null) => void>;
let failure: Error | undefined;

beforeEach(async () => {
  told = [];
  free = SLOTS;
  filled = [];
  abandoned = [];
  consumers = new Map();
  failure = undefined;
  let prefetch = 0;
  const channel = {
    async prefetch(count: number) {
      if (failure) throw failure;
      prefetch = count;
    },
    async consume(_queue: string, receive: () => void, options: { consumerTag: string }) {
      told.push(`offer ${prefetch} as ${options.consumerTag}`);
      consumers.set(options.consumerTag, receive);
    },
    async cancel(consumerTag: string) {
      told.push(`cancel ${consumerTag}`);
    },
  };
  const session = {
    channel,
    link: { within: <T>(answer: Promise<T>) => answer },
    abandon: (reason: Error) => abandoned.push(reason.message),
  };
  offers = createOffers(session as unknown as Session<Channel>, {
    queue: 'tasks.high',
    slots: SLOTS,
    free: () => free,
    onMessage(_message, offer) {
      free -= 1;
      offer.filled += 1;
      filled.push(offer);
    },
  });
  await offers.begin();
});

test('all slots are one offer, and whoever is done by the way it came changes nothing', async () => {
  receive('tasks-1');
  leave(filled[0]);
  await untilQuiet();
  expect(told).toEqual(['offer 4 as tasks-1']);
});

test('what is busy is not offered: a slot that is kept costs its offer, whose free rest is offered anew', async () => {
  receive('tasks-1');
  receive('tasks-1');
  keep(filled[0]);
  expect(told).toEqual(['offer 4 as tasks-1', 'cancel tasks-1']);
  await untilQuiet();
  expect(told.slice(2)).toEqual(['offer 2 as tasks-2']);
});

test('a slot that becomes free and was not offered is an offer of its own', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  keep(filled[0]);
  await untilQuiet();
  expect(told.slice(1)).toEqual(['cancel tasks-1']);
  leave(filled[1]);
  await untilQuiet();
  expect(told.slice(2)).toEqual(['offer 1 as tasks-2']);
});

test('once all are free again, one offer takes the place of several', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  keep(filled[0]);
  leave(filled[1]);
  await untilQuiet();
  leave(filled[2]);
  await untilQuiet();
  receive('tasks-2');
  leave(filled[3]);
  leave(undefined);
  await untilQuiet();
  const before = told.length;
  leave(filled[4]);
  await untilQuiet();
  const after = told.slice(before);
  expect(after.slice(0, -1).every((line) => line.startsWith('cancel '))).toBe(true);
  expect(after.at(-1)).toMatch(/^offer 4 as /);
});

test('who has ended takes all back and offers nothing more', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  keep(filled[0]);
  await offers.end();
  leave(filled[1]);
  await untilQuiet();
  expect(told.slice(1)).toEqual(['cancel tasks-1']);
});

test('a channel that refuses an offer, or takes a consumer away, is given up', async () => {
  receive('tasks-1');
  failure = new Error('closed');
  keep(filled[0]);
  await vi.waitFor(() => expect(abandoned).toEqual(['closed']));
  consumers.get('tasks-1')?.(null);
  expect(abandoned).toEqual([
    'closed',
    'RabbitMQ cancelled the consumer of the queue "tasks.high"',
  ]);
});

function receive(consumerTag: string): void {
  consumers.get(consumerTag)?.({} as ConsumeMessage);
}

/** As one does whose task is done. Without an offer RabbitMQ has not counted it any more. */
function leave(offer: Offer | undefined): void {
  free += 1;
  if (offer) offer.filled -= 1;
  offers.follow();
}

/** As one does whose task runs on when its message is gone. */
function keep(offer: Offer | undefined): void {
  if (!offer) throw new Error('nothing came');
  offers.withdraw(offer);
  offer.filled -= 1;
}

function untilQuiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

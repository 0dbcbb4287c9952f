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
let failing: string | undefined;

beforeEach(async () => {
  told = [];
  free = SLOTS;
  filled = [];
  abandoned = [];
  consumers = new Map();
  failing = undefined;
  let prefetch = 0;
  const channel = {
    async prefetch(count: number) {
      if (failing === 'prefetch') throw new Error('closed');
      await answered();
      prefetch = count;
    },
    async consume(_queue: string, receive: () => void, options: { consumerTag: string }) {
      told.push(`offer ${prefetch} as ${options.consumerTag}`);
      consumers.set(options.consumerTag, receive);
      await answered();
    },
    async cancel(consumerTag: string) {
      if (failing === 'cancel') throw new Error('closed');
      told.push(`cancel ${consumerTag}`);
      await answered();
      told.push(`cancelled ${consumerTag}`);
    },
  };
  const session = {
    channel,
    link: { within: <T>(answer: Promise<T>) => answer },
    abandon: (reason: Error) => abandoned.push(reason.message),
  };
  offers = createOffers(session as unknown as Session<Channel>, {
    queue: 'tasks.high',
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

test('an offer that is withdrawn counts until RabbitMQ has confirmed it; what is free of it is then offered anew', async () => {
  receive('tasks-1');
  receive('tasks-1');
  const withdrawn = offers.withdraw(first());
  // Sent before RabbitMQ heard of it.
  receive('tasks-1');
  leave(filled[1]);
  await withdrawn;
  expect(told.slice(1)).toEqual(['cancel tasks-1', 'cancelled tasks-1']);
  await untilQuiet();
  expect(told.slice(3)).toEqual(['offer 2 as tasks-2']);
});

test('a slot that becomes free and is not offered is an offer of its own', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  await offers.withdraw(first());
  await untilQuiet();
  leave(filled[1]);
  await untilQuiet();
  expect(told.slice(3)).toEqual(['offer 1 as tasks-2']);
});

test('offers of which nothing is filled are joined, and with what became free', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  await offers.withdraw(first());
  leave(filled[1]);
  await untilQuiet();
  expect(told.at(-1)).toBe('offer 1 as tasks-2');
  leave(filled[2]);
  await untilQuiet();
  expect(told.slice(-3)).toEqual(['cancel tasks-2', 'cancelled tasks-2', 'offer 2 as tasks-3']);
  receive('tasks-3');
  leave(filled[3]);
  await untilQuiet();
  expect(told.at(-1)).toBe('offer 1 as tasks-4');
  leave(filled[4]);
  await untilQuiet();
  expect(told.at(-1)).toBe('offer 3 as tasks-5');
});

test('RabbitMQ is asked one thing at a time, so that each has its own time for an answer', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  await offers.withdraw(first());
  for (const tag of ['tasks-2', 'tasks-3']) {
    leave(filled[1]);
    await untilQuiet();
    receive(tag);
  }
  const before = told.length;
  await offers.end();
  expect(told.slice(before)).toEqual([
    'cancel tasks-2',
    'cancelled tasks-2',
    'cancel tasks-3',
    'cancelled tasks-3',
  ]);
});

test('who has ended takes all back and offers nothing more', async () => {
  for (let slot = 0; slot < SLOTS; slot += 1) receive('tasks-1');
  void offers.withdraw(first());
  await new Promise<void>(process.nextTick);
  expect(told.slice(1)).toEqual(['cancel tasks-1']);
  await offers.end();
  expect(told.slice(1)).toEqual(['cancel tasks-1', 'cancelled tasks-1']);
  leave(filled[1]);
  await untilQuiet();
  expect(told).toHaveLength(3);
});

test.each(['prefetch', 'cancel'])('a channel that refuses %s is given up', async (what) => {
  receive('tasks-1');
  failing = what;
  await offers.withdraw(first());
  await vi.waitFor(() => expect(abandoned).toEqual(['closed']));
});

test('a channel whose consumer RabbitMQ takes away is given up', () => {
  consumers.get('tasks-1')?.(null);
  expect(abandoned).toEqual(['RabbitMQ cancelled the consumer of the queue "tasks.high"']);
});

function receive(consumerTag: string): void {
  consumers.get(consumerTag)?.({} as ConsumeMessage);
}

/** As one does whose task is done. */
function leave(offer: Offer | undefined): void {
  if (!offer) throw new Error('nothing came');
  free += 1;
  offer.filled -= 1;
  offers.follow();
}

function first(): Offer {
  const [offer] = filled;
  if (!offer) throw new Error('nothing came');
  return offer;
}

/** RabbitMQ takes its time. */
function answered(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Longer than it takes to cancel and offer all. */
async function untilQuiet(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await answered();
}

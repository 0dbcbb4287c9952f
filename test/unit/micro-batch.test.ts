import { expect, test } from 'vitest';
import { createMicroBatch } from '../../src/tasks/micro-batch.ts';
import { createInbox } from '../support/inbox.ts';

interface Batch {
  items: readonly string[];
  finish(): void;
  fail(error: Error): void;
}

test('a single call goes out at once, and what arrives meanwhile goes together', async () => {
  const { call, batches } = start({ maxInFlight: 1 });
  const first = call('a');
  const batch = await batches.take();
  expect(batch.items).toEqual(['a']);
  const later = Promise.all(['b', 'c', 'd'].map(call));
  batch.finish();
  expect(await first).toBe('A');
  const second = await batches.take();
  expect(second.items).toEqual(['b', 'c', 'd']);
  second.finish();
  expect(await later).toEqual(['B', 'C', 'D']);
});

test('no more batches are on their way than allowed, and none weighs more', async () => {
  const { call, batches } = start({ maxInFlight: 2, maxWeight: 2 });
  const all = Promise.all(['a', 'b', 'c', 'd', 'e'].map(call));
  const [first, second] = await batches.takeMany(2);
  expect([first?.items, second?.items]).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  expect(batches.all).toHaveLength(2);
  first?.finish();
  (await batches.take()).finish();
  second?.finish();
  expect(await all).toEqual(['A', 'B', 'C', 'D', 'E']);
});

test('one item too heavy for any batch goes alone', async () => {
  const { call, batches } = start({ maxInFlight: 1, maxWeight: 0.5 });
  const all = Promise.all(['a', 'b'].map(call));
  (await batches.take()).finish();
  (await batches.take()).finish();
  expect(await all).toEqual(['A', 'B']);
});

test('an item that fails takes none of its batch with it', async () => {
  const { call, batches } = start({ maxInFlight: 1 });
  const results = Promise.allSettled(['good', 'bad', 'fine'].map(call));
  (await batches.take()).fail(new Error('one of them is bad'));
  (await batches.take()).finish();
  (await batches.take()).fail(new Error('it was me'));
  (await batches.take()).finish();
  expect((await results).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
});

test('a failure that would hit each item alike is not tried item by item', async () => {
  const { call, batches } = start({ maxInFlight: 1 });
  const results = Promise.allSettled(['a', 'b'].map(call));
  (await batches.take()).fail(new Error('away'));
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(batches.all).toHaveLength(1);
});

function start(limits: { maxInFlight: number; maxWeight?: number }) {
  const batches = createInbox<Batch>();
  const call = createMicroBatch<string, string>({
    run: (items) => {
      const { promise, resolve, reject } = Promise.withResolvers<string[]>();
      const finish = () => resolve(items.map((item) => item.toUpperCase()));
      batches.put({ items, finish, fail: reject });
      return promise;
    },
    weigh: () => 1,
    maxWeight: 100,
    isShared: (error) => error instanceof Error && error.message === 'away',
    ...limits,
  });
  return { call, batches };
}

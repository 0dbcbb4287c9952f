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
  const later = Promise.all(['b', 'c', 'd'].map((item) => call(item)));
  batch.finish();
  expect(await first).toBe('A');
  const second = await batches.take();
  expect(second.items).toEqual(['b', 'c', 'd']);
  second.finish();
  expect(await later).toEqual(['B', 'C', 'D']);
});

test('no more batches are on their way than allowed, and none weighs more', async () => {
  const { call, batches } = start({ maxInFlight: 2, maxWeight: 2 });
  const all = Promise.all(['a', 'b', 'c', 'd', 'e'].map((item) => call(item)));
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

test('beside one that is on its way another starts only once it is worth it', async () => {
  const { call, batches } = start({ maxInFlight: 3, minWeightBeside: 2 });
  const a = call('a');
  const first = await batches.take();
  const b = call('b');
  await new Promise((resolve) => setImmediate(resolve));
  expect(batches.all).toHaveLength(1);
  const c = call('c');
  const second = await batches.take();
  expect(second.items).toEqual(['b', 'c']);
  const d = call('d');
  await new Promise((resolve) => setImmediate(resolve));
  expect(batches.all).toHaveLength(2);
  first.finish();
  second.finish();
  (await batches.take()).finish();
  expect(await Promise.all([a, b, c, d])).toEqual(['A', 'B', 'C', 'D']);
});

test('one item too heavy for any batch goes alone', async () => {
  const { call, batches } = start({ maxInFlight: 1, maxWeight: 0.5 });
  const all = Promise.all(['a', 'b'].map((item) => call(item)));
  (await batches.take()).finish();
  (await batches.take()).finish();
  expect(await all).toEqual(['A', 'B']);
});

test('an item that fails takes none of its batch with it', async () => {
  const { call, batches } = start({ maxInFlight: 1 });
  const results = Promise.allSettled(['good', 'bad', 'fine'].map((item) => call(item)));
  (await batches.take()).fail(new Error('one of them is bad'));
  (await batches.take()).fail(new Error('one of these two'));
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
  const results = Promise.allSettled(['a', 'b'].map((item) => call(item)));
  (await batches.take()).fail(new Error('away'));
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(batches.all).toHaveLength(1);
});

test('an item that nobody waits for any more is left out of the next batch, and of no earlier one', async () => {
  const { call, batches } = start({ maxInFlight: 1 });
  const leaving = new AbortController();
  const begun = call('begun', leaving);
  const batch = await batches.take();
  const abandoned = call('abandoned', leaving);
  const kept = call('kept');
  leaving.abort(new Error('gone'));
  batch.finish();
  expect(await begun).toBe('BEGUN');
  await expect(abandoned).rejects.toThrow('gone');
  const next = await batches.take();
  expect(next.items).toEqual(['kept']);
  next.finish();
  expect(await kept).toBe('KEPT');
});

test('of items with the same key each goes in a batch of its own, and the others do not wait', async () => {
  const { call, batches } = start({ maxInFlight: 1, keyOf: (item) => item[0] });
  const all = Promise.all(['a1', 'a2', 'b', 'a3'].map((item) => call(item)));
  for (const items of [['a1', 'b'], ['a2'], ['a3']]) {
    const batch = await batches.take();
    expect(batch.items).toEqual(items);
    batch.finish();
  }
  expect(await all).toEqual(['A1', 'A2', 'B', 'A3']);
});

function start(limits: {
  maxInFlight: number;
  maxWeight?: number;
  minWeightBeside?: number;
  keyOf?: (item: string) => unknown;
}) {
  const batches = createInbox<Batch>();
  const microBatch = createMicroBatch<string, string>({
    run: (items) => {
      const { promise, resolve, reject } = Promise.withResolvers<string[]>();
      const finish = () => resolve(items.map((item) => item.toUpperCase()));
      batches.put({ items, finish, fail: reject });
      return promise;
    },
    weigh: () => 1,
    maxWeight: 100,
    minWeightBeside: 1,
    isShared: (error) => error instanceof Error && error.message === 'away',
    ...limits,
  });
  // Not as it is: `map` would pass it an index for a signal.
  const call = (item: string, { signal }: { signal?: AbortSignal } = {}) =>
    microBatch(item, signal);
  return { call, batches };
}

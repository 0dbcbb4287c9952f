import { expect, test, vi } from 'vitest';
import { createSharedReads } from '../../src/tasks/shared-reads.ts';

function readsByHand() {
  const begun: PromiseWithResolvers<string>[] = [];
  return {
    begun,
    read() {
      const answer = Promise.withResolvers<string>();
      begun.push(answer);
      return answer.promise;
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('who comes while a read is under way shares the next with all others, and is not told the old answer', async () => {
  const share = createSharedReads();
  const { begun, read } = readsByHand();
  const first = share('a', read);
  const later = [share('a', read), share('a', read), share('a', read)];
  expect(begun).toHaveLength(1);
  begun[0]?.resolve('old');
  expect(await first).toBe('old');
  await turn();
  expect(begun).toHaveLength(2);
  const latest = share('a', read);
  begun[1]?.resolve('new');
  expect(await Promise.all(later)).toEqual(['new', 'new', 'new']);
  await turn();
  begun[2]?.resolve('newest');
  expect(await latest).toBe('newest');
  expect(begun).toHaveLength(3);
});

test('other keys wait for nobody, and nothing is kept', async () => {
  const share = createSharedReads();
  const { begun, read } = readsByHand();
  const both = [share('a', read), share('b', read)];
  expect(begun).toHaveLength(2);
  for (const { resolve } of begun) resolve('done');
  await Promise.all(both);
  await turn();
  const again = share('a', read);
  expect(begun).toHaveLength(3);
  begun[2]?.resolve('anew');
  expect(await again).toBe('anew');
});

test('a read that fails fails for those who share it, and the next is a new one', async () => {
  const share = createSharedReads();
  const { begun, read } = readsByHand();
  const first = share('a', read);
  const later = share('a', read);
  begun[0]?.reject(new Error('away'));
  await expect(first).rejects.toThrow('away');
  await turn();
  begun[1]?.resolve('back');
  expect(await later).toBe('back');
});

test('a read that takes long keeps the next waiting for half a second only', async () => {
  const share = createSharedReads();
  const { begun, read } = readsByHand();
  const stuck = share('a', read);
  const later = share('a', read);
  await vi.waitFor(() => expect(begun).toHaveLength(2), { timeout: 5_000 });
  begun[1]?.resolve('quick');
  expect(await later).toBe('quick');
  begun[0]?.resolve('slow');
  expect(await stuck).toBe('slow');
});

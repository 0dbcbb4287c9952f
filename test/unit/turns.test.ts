import { expect, test } from 'vitest';
import { createTurns } from '../../src/tasks/turns.ts';

test('so many work at a time, the others in the order in which they asked, whatever becomes of one', async () => {
  const inTurn = createTurns(2);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const settled = Promise.allSettled(
    gates.map(({ promise }, i) =>
      inTurn(() => {
        begun.push(i);
        return promise;
      }),
    ),
  );
  const [first, second, ...others] = gates;
  await new Promise(setImmediate);
  expect(begun).toEqual([0, 1]);
  second?.reject(new Error('failed'));
  await new Promise(setImmediate);
  expect(begun).toEqual([0, 1, 2]);
  first?.resolve(0);
  for (const [i, { resolve }] of others.entries()) resolve(i + 2);
  expect((await settled).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

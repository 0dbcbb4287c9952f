import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createSearchIndex } from '../../src/store/search-index.ts';

test('few texts are left to wait, many are sorted in, one run at a time', async () => {
  const { index, runs } = start();
  index.stored(texts(249_999));
  expect(runs).toHaveLength(0);
  index.stored(texts(1));
  expect(runs).toHaveLength(1);
  index.stored(texts(300_000));
  expect(runs).toHaveLength(1);
  await runs[0]?.end();
  expect(runs).toHaveLength(2);
  await runs[1]?.end();
  index.stored(texts(249_999));
  expect(runs).toHaveLength(2);
});

test('after a failure it is tried again, once there are more', async () => {
  const { index, runs } = start();
  index.stored(texts(250_000));
  await runs[0]?.fail();
  expect(runs).toHaveLength(1);
  index.stored(texts(250_000));
  expect(runs).toHaveLength(2);
});

function start() {
  const runs: { end(): Promise<void>; fail(): Promise<void> }[] = [];
  const index = createSearchIndex({
    run() {
      const { promise, resolve, reject } = Promise.withResolvers<never[]>();
      const settle = async (how: () => void) => {
        how();
        await nextTurn();
      };
      runs.push({
        end: () => settle(() => resolve([])),
        fail: () => settle(() => reject(new Error('away'))),
      });
      return promise;
    },
  });
  return { index, runs };
}

/** So many characters. */
function texts(length: number) {
  const title = 'x'.repeat(Math.min(10, length));
  return [{ title, description: 'x'.repeat(length - title.length) }];
}

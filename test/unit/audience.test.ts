import { expect, test } from 'vitest';
import { createAudience, type Watcher } from '../../src/tasks/audience.ts';
import { changesTo } from '../../src/tasks/selection.ts';

test('an audience is ready when all are, but for those who have been waited for in vain', async () => {
  const audience = createAudience();
  const [slow, quick] = [createWatcher(), createWatcher()];
  const leave = audience.add(slow);
  audience.add(quick);
  expect(audience.isReady()).toBe(true);

  slow.isReady = () => false;
  expect(audience.isReady()).toBe(false);
  audience.waitNoMore();
  expect(audience.isReady()).toBe(true);
  await audience.ready();

  // Another one is waited for all the same.
  quick.isReady = () => false;
  expect(audience.isReady()).toBe(false);
  quick.isReady = () => true;

  // Who has caught up is waited for again.
  slow.isReady = () => true;
  expect(audience.isReady()).toBe(true);
  slow.isReady = () => false;
  expect(audience.isReady()).toBe(false);
  leave();
  expect(audience.isReady()).toBe(true);
});

function createWatcher(): Watcher {
  return {
    selection: changesTo({}),
    onChange: () => {},
    isReady: () => true,
    ready: () => new Promise(() => {}),
  };
}

import { expect, test } from 'vitest';
import { createAudience, type Watcher } from '../../src/tasks/audience.ts';
import { changesTo } from '../../src/tasks/selection.ts';

test('an audience is ready when all are', async () => {
  const audience = createAudience();
  const [slow, quick] = [createWatcher(), createWatcher()];
  const leave = audience.add(slow);
  audience.add(quick);
  expect(audience.isReady()).toBe(true);
  slow.isReady = () => false;
  expect(audience.isReady()).toBe(false);
  leave();
  expect(audience.isReady()).toBe(true);
  await audience.ready();
});

test('who was waited for in vain is waited for again once it has taken all', async () => {
  const audience = createAudience({ patienceMs: 10 });
  const [slow, quick] = [createWatcher(), createWatcher()];
  audience.add(slow);
  audience.add(quick);
  slow.isReady = () => false;
  await audience.ready();
  expect(audience.isReady()).toBe(true);

  // Another one is waited for all the same.
  quick.isReady = () => false;
  expect(audience.isReady()).toBe(false);
  quick.isReady = () => true;

  // That it takes one more page is not enough.
  slow.isReady = () => true;
  expect(audience.isReady()).toBe(true);
  slow.isReady = () => false;
  expect(audience.isReady()).toBe(true);
  slow.isIdle = () => true;
  expect(audience.isReady()).toBe(false);
});

test('who is a little too slow again and again holds up the others for a limited time in all', async () => {
  const audience = createAudience({ patienceMs: 50 });
  const slow = createWatcher();
  let waits = 0;
  let isReady = false;
  slow.isReady = () => isReady;
  slow.ready = async () => {
    waits += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    isReady = true;
  };
  audience.add(slow);
  for (let page = 0; page < 20; page += 1) {
    await audience.ready();
    isReady = false;
  }
  expect(waits).toBeGreaterThan(0);
  // Each took a fifth of the patience at least, whatever the timers are worth.
  expect(waits).toBeLessThanOrEqual(5);
});

function createWatcher(): Watcher {
  return {
    selection: changesTo({}),
    onChange: () => {},
    isReady: () => true,
    ready: () => new Promise(() => {}),
    isIdle: () => false,
  };
}

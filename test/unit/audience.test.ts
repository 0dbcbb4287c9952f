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

test('who was waited for in vain is waited for no more for some time', async () => {
  let elapsedMs = 0;
  const now = () => performance.now() + elapsedMs;
  const audience = createAudience({ patienceMs: 10, now });
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

  elapsedMs = 1_000;
  expect(audience.isReady()).toBe(false);
});

test('who is too slow again and again holds up the others for a twentieth of the time in the end', async () => {
  let at = 0;
  const audience = createAudience({ patienceMs: 500, now: () => at });
  const slow = createWatcher();
  let waitedMs = 0;
  let isReady = false;
  slow.isReady = () => isReady;
  slow.ready = async () => {
    at += 100;
    waitedMs += 100;
    isReady = true;
  };
  audience.add(slow);
  // In between it takes everything.
  for (; at < 60_000; at += 5) {
    await audience.ready();
    isReady = false;
  }
  expect(waitedMs).toBeGreaterThan(500);
  expect(waitedMs).toBeLessThan(500 + 60_000 / 20 + 200);
});

function createWatcher(): Watcher {
  return {
    selection: changesTo({}),
    onChange: () => {},
    isReady: () => true,
    ready: () => new Promise(() => {}),
  };
}

import { afterEach, expect, test, vi } from 'vitest';
import { createDatabaseClock } from '../../src/tasks/database-clock.ts';

const TOLD = new Date('2020-01-01T00:00:00Z');

afterEach(() => {
  vi.useRealTimers();
});

test('a clock that was told nothing knows nothing', () => {
  expect(createDatabaseClock().now()).toBeUndefined();
});

test('it counts on from what it was told last, whatever the clocks here show', () => {
  vi.useFakeTimers({ now: new Date('2026-06-01') });
  const clock = createDatabaseClock();
  clock.told(TOLD);
  vi.advanceTimersByTime(90_000);
  expect(clock.now()).toBe(TOLD.getTime() + 90_000);
});

test('it does not know any more when the clock here was set, or the machine slept', () => {
  vi.useFakeTimers({ now: new Date('2026-06-01') });
  const clock = createDatabaseClock();
  clock.told(TOLD);
  vi.setSystemTime(new Date('2026-06-01T01:00:00Z'));
  expect(clock.now()).toBeUndefined();
  clock.told(TOLD);
  expect(clock.now()).toBe(TOLD.getTime());
  clock.forget();
  expect(clock.now()).toBeUndefined();
});

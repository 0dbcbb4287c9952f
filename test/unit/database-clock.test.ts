import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDatabaseClock } from '../../src/tasks/database-clock.ts';

const TOLD = new Date('2020-01-01T00:00:00Z');

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-06-01') });
});

afterEach(() => {
  vi.useRealTimers();
});

test('a clock that was told nothing knows nothing', () => {
  expect(createDatabaseClock().now()).toBeUndefined();
});

test('it counts on from when it asked, whatever the clocks here show', () => {
  const clock = createDatabaseClock();
  const told = clock.ask();
  vi.advanceTimersByTime(3_000);
  told(TOLD);
  expect(clock.now()).toBe(TOLD.getTime() + 3_000);
  vi.advanceTimersByTime(90_000);
  expect(clock.now()).toBe(TOLD.getTime() + 93_000);
});

test('it does not know any more when the clock here was set, or the machine slept', () => {
  const clock = createDatabaseClock();
  clock.ask()(TOLD);
  vi.setSystemTime(new Date('2026-06-01T01:00:00Z'));
  expect(clock.now()).toBeUndefined();
  clock.ask()(TOLD);
  expect(clock.now()).toBe(TOLD.getTime());
});

test('once it was made to forget it believes nothing for ten seconds, not even what was asked before', () => {
  const clock = createDatabaseClock();
  clock.ask()(TOLD);
  const early = clock.ask();
  clock.forget();
  early(TOLD);
  clock.ask()(TOLD);
  expect(clock.now()).toBeUndefined();
  vi.advanceTimersByTime(10_001);
  early(TOLD);
  expect(clock.now()).toBeUndefined();
  clock.ask()(TOLD);
  expect(clock.now()).toBe(TOLD.getTime());
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createSlots } from '../../src/worker/slots.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('there are as many slots of a priority as were asked for, whatever the others do', async () => {
  const slots = createSlots({ HIGH: 2, MEDIUM: 0, LOW: 1 });
  expect(await slots.acquire('HIGH', 100)).toBe(true);
  expect(await slots.acquire('HIGH', 100)).toBe(true);
  expect(await slots.acquire('LOW', 100)).toBe(true);
  const late = [slots.acquire('HIGH', 100), slots.acquire('MEDIUM', 100)];
  await vi.advanceTimersByTimeAsync(100);
  expect(await Promise.all(late)).toEqual([false, false]);
});

test('a slot that becomes free goes to who has waited longest', async () => {
  const slots = createSlots({ HIGH: 1, MEDIUM: 1, LOW: 1 });
  await slots.acquire('HIGH', 100);
  const [first, second] = [slots.acquire('HIGH', 100), slots.acquire('HIGH', 100)];
  slots.release('HIGH');
  expect(await first).toBe(true);
  await vi.advanceTimersByTimeAsync(100);
  expect(await second).toBe(false);
  slots.release('HIGH');
  expect(await slots.acquire('HIGH', 0)).toBe(true);
});

import { version } from 'uuid';
import { expect, test, vi } from 'vitest';
import { createRisingIds } from '../../src/tasks/rising-ids.ts';

test('each id is of version 7, says when it was made, and is greater than the one before', () => {
  const nextId = createRisingIds();
  const before = Date.now();
  const ids = Array.from({ length: 2_000 }, nextId);
  const after = Date.now();
  expect(ids.every((id) => version(id) === 7)).toBe(true);
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of [ids[0], ids.at(-1)]) {
    const madeAt = Number.parseInt(`${id?.slice(0, 8)}${id?.slice(9, 13)}`, 16);
    expect(madeAt).toBeGreaterThanOrEqual(before);
    expect(madeAt).toBeLessThanOrEqual(after);
  }
});

test('a clock that is set back does not make them fall', () => {
  const nextId = createRisingIds();
  const first = nextId();
  vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 60_000);
  const second = nextId();
  vi.restoreAllMocks();
  expect(second > first).toBe(true);
});

test('two makers never make the same', () => {
  const [one, other] = [createRisingIds(), createRisingIds()];
  const ids = Array.from({ length: 5_000 }, () => [one(), other()]).flat();
  expect(new Set(ids).size).toBe(ids.length);
});

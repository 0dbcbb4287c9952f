import { describe, expect, test } from 'vitest';
import { createChangeQueue } from '../../src/tasks/change-queue.ts';
import { makeTaskChange } from '../support/task-changes.ts';

const change = makeTaskChange();

describe('a change queue', () => {
  test('gives room as its reader takes', async () => {
    const queue = createChangeQueue(3);
    expect(await queue.room(3)).toBe(true);
    for (let count = 0; count < 3; count += 1) queue.push(change);
    const told: string[] = [];
    const two = queue.room(2).then(() => told.push('two'));
    const one = queue.room(1).then(() => told.push('one'));
    await queue.changes.next();
    await one;
    expect(told).toEqual(['one']);
    await queue.changes.next();
    await two;
    expect(told).toEqual(['one', 'two']);
  });

  test.each<[string, (queue: ReturnType<typeof createChangeQueue>) => unknown]>([
    ['its reader has left', ({ changes }) => changes.return?.()],
    ['it has ended', ({ end }) => end()],
    ['it has failed', ({ fail }) => fail(new Error('boom'))],
    ['its reader lags behind', ({ push }) => push(change)],
  ])('wants nothing more when %s', async (_when, finish) => {
    const queue = createChangeQueue(1);
    queue.push(change);
    expect(queue.closed).toBe(false);
    const room = queue.room(1);
    await finish(queue);
    expect(await room).toBe(false);
    expect(await queue.room(0)).toBe(false);
    expect(queue.closed).toBe(true);
  });

  test('tells a reader that falls too far behind, once it has read what there was', async () => {
    const queue = createChangeQueue(2);
    for (let count = 0; count < 3; count += 1) queue.push(change);
    expect(await queue.changes.next()).toEqual({ done: false, value: change });
    expect(await queue.changes.next()).toEqual({ done: false, value: change });
    await expect(queue.changes.next()).rejects.toMatchObject({ code: 'LAGGED' });
    expect(await queue.changes.next()).toEqual({ done: true, value: undefined });
  });
});

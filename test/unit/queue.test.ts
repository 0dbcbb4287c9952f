import { describe, expect, test } from 'vitest';
import { createChangeQueue } from '../../src/tasks/change-queue.ts';
import { cursorOf } from '../../src/tasks/cursor.ts';
import { createQueue } from '../../src/tasks/queue.ts';
import { makeTaskChange } from '../support/task-changes.ts';

const change = makeTaskChange();

describe('a queue', () => {
  test('gives room as its reader takes', async () => {
    const queue = createQueue({ limit: 3 });
    expect(await queue.room(3)).toBe(true);
    for (let count = 0; count < 3; count += 1) queue.push(change);
    const told: string[] = [];
    const two = queue.room(2).then(() => told.push('two'));
    const one = queue.room(1).then(() => told.push('one'));
    await queue.stream.next();
    await one;
    expect(told).toEqual(['one']);
    await queue.stream.next();
    await two;
    expect(told).toEqual(['one', 'two']);
  });

  test.each<[string, (queue: ReturnType<typeof createQueue<object>>) => unknown]>([
    ['its reader has left', ({ stream }) => stream.return?.()],
    ['it has ended', ({ end }) => end()],
    ['it has failed', ({ fail }) => fail(new Error('boom'))],
    ['its reader lags behind', ({ push }) => push(change)],
  ])('wants nothing more when %s', async (_when, finish) => {
    const queue = createQueue<object>({ limit: 1, lagged: () => new Error('slow') });
    queue.push(change);
    expect(queue.closed).toBe(false);
    const room = queue.room(1);
    await finish(queue);
    expect(await room).toBe(false);
    expect(await queue.room(0)).toBe(false);
    expect(queue.closed).toBe(true);
  });

  test('tells whoever wants to know that nothing more is wanted, also after that', async () => {
    const { onClose, end } = createQueue({ limit: 1 });
    const told: string[] = [];
    onClose(() => told.push('early'));
    expect(told).toEqual([]);
    end();
    expect(told).toEqual(['early']);
    onClose(() => told.push('late'));
    end();
    expect(told).toEqual(['early', 'late']);
  });

  test('lets the newest value take the place of the one before where a reader may skip some', async () => {
    const { push, stream } = createQueue<{ n: number }>({ limit: 1 });
    for (const n of [1, 2, 3]) push({ n });
    expect(await stream.next()).toEqual({ done: false, value: { n: 3 } });
  });

  test('tells a reader at once what it takes, and the rest when it resumes', () => {
    const { push, end, stream } = createQueue<{ n: number }>({ limit: 5 });
    const told: (number | string)[] = [];
    const { resume } = stream.read({
      take: ({ n }) => told.push(n) % 2 === 0,
      end: () => told.push('end'),
    });
    push({ n: 1 });
    expect(told).toEqual([]);
    resume();
    expect(told).toEqual([1]);
    push({ n: 2 });
    resume();
    push({ n: 3 });
    expect(told).toEqual([1, 2, 3]);
    end();
    expect(told).toEqual([1, 2, 3]);
    resume();
    expect(told).toEqual([1, 2, 3, 'end']);
  });
});

describe('a queue of changes', () => {
  const lagged = { code: 'LAGGED', cursor: cursorOf(change) };

  test('tells a reader that falls too far behind, once it has read what there was', async () => {
    const { push, stream } = createChangeQueue(() => undefined, 2);
    for (let count = 0; count < 3; count += 1) push(change);
    expect(await stream.next()).toEqual({ done: false, value: change });
    expect(await stream.next()).toEqual({ done: false, value: change });
    await expect(stream.next()).rejects.toMatchObject(lagged);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('names the cursor that it began with to a reader that has read nothing', async () => {
    const { push, stream } = createChangeQueue(() => 'the first', 0);
    push(change);
    await expect(stream.next()).rejects.toMatchObject({ code: 'LAGGED', cursor: 'the first' });
  });
});

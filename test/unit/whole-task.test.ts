import { expect, test } from 'vitest';
import type { Task } from '../../src/domain/task.ts';
import { createWholeTask } from '../../src/tasks/whole-task.ts';
import { makeTaskChange } from '../support/task-changes.ts';

const { task: stored } = makeTaskChange({
  task: { payload: 'large', result: 'larger', title: 'now' },
});

test('a task that was announced whole is given back at once, as it is', () => {
  const whole = createWholeTask(() => Promise.reject(new Error('read for nothing')));
  expect(whole(stored)).toBe(stored);
});

test('what was too large is read once for all who ask, and the rest stays as it was announced', async () => {
  let reads = 0;
  const whole = createWholeTask(async () => {
    reads += 1;
    return stored;
  });
  const announced: Task = { ...stored, title: 'then', payload: null, omitted: ['payload'] };
  const [one, other] = await Promise.all([whole(announced), whole(announced)]);
  expect(one).toBe(other);
  expect(one).toEqual({ ...stored, title: 'then', payload: 'large' });
  expect(await whole(announced)).toBe(one);
  expect(reads).toBe(1);
});

test('what could not be read is read again for the next who asks', async () => {
  let isAway = true;
  const whole = createWholeTask(async () => {
    if (isAway) throw new Error('away');
    return stored;
  });
  const announced: Task = { ...stored, result: null, omitted: ['result'] };
  await expect(whole(announced)).rejects.toThrow('away');
  isAway = false;
  expect(await whole(announced)).toMatchObject({ result: 'larger' });
});

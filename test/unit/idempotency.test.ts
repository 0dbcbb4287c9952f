import { expect, test } from 'vitest';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import { hashInput } from '../../src/tasks/idempotency.ts';

const newTask = newTaskSchema({ simulate: { description: '' } });

test('input is the same however it is written, and other input as soon as anything in it differs', () => {
  const input = { title: 'a test', idempotencyKey: 'a', payload: { b: null, a: [1, null] } };
  const hash = hashOf(input);
  expect(hashOf({ payload: { a: [1, null], b: null }, idempotencyKey: 'a', title: 'a test' })).toBe(
    hash,
  );
  expect(hashOf({ ...input, description: '', maxAttempts: 3, runAt: null })).toBe(hash);
  const others = [
    { ...input, payload: { a: [1, null] } },
    { ...input, payload: { b: null, a: [1] } },
    { ...input, payload: null },
    { ...input, maxAttempts: 4 },
    { ...input, timeoutSeconds: 1 },
  ];
  expect(new Set([hash, ...others.map(hashOf)]).size).toBe(others.length + 1);
});

test('input has the hash that it had when it was stored by an earlier version', () => {
  expect(hashOf({ title: 'a test', idempotencyKey: 'a' })).toBe(
    'cb1954fb18c34db5db736e7cc1240bbf93631ffb695ad2f715c9973e0206ebcf',
  );
});

test('a field that a later version adds, and that nobody has set, makes no other input of it', () => {
  const input = newTask.parse({ title: 'a test', idempotencyKey: 'a' });
  expect(hashInput({ ...input, ...{ addedLater: null } })).toEqual(hashInput(input));
});

test('without a key there is nothing to tell apart', () => {
  expect(hashInput(newTask.parse({ title: 'a test' }))).toBeNull();
});

function hashOf(input: Record<string, unknown>): string | undefined {
  return hashInput(newTask.parse(input))?.toString('hex');
}

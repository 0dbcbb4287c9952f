import { expect, test } from 'vitest';
import { decodeTaskChange, encodeTaskChange } from '../../src/broker/message-codec.ts';
import { makeTaskChange } from '../support/task-changes.ts';

test('a change is decoded as it was encoded', () => {
  const change = makeTaskChange();
  expect(decodeTaskChange(encodeTaskChange(change))).toEqual(change);
});

test('a change from a process that knows neither deadlines nor retries is understood', () => {
  const change = makeTaskChange();
  const { expiresAt: _expiresAt, retry: _retry, ...olderTask } = change.task;
  const message = JSON.parse(encodeTaskChange(change).toString());
  const older = Buffer.from(JSON.stringify({ event: message.event, task: olderTask }));
  expect(decodeTaskChange(older).task).toMatchObject({ expiresAt: null, retry: null });
});

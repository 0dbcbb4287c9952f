import { expect, test } from 'vitest';
import {
  decodeTaskChange,
  decodeTaskMessage,
  decodeTaskProgress,
  encodeTaskChange,
  encodeTaskMessage,
  encodeTaskProgress,
} from '../../src/broker/message-codec.ts';
import { makeTaskChange } from '../support/task-changes.ts';
import { makeTaskProgress } from '../support/task-progress.ts';

test('a change is decoded as it was encoded', () => {
  const change = makeTaskChange();
  expect(decodeTaskChange(Buffer.from(encodeTaskChange(change)))).toEqual(change);
});

test('a change from a process that knows neither deadlines nor retries is understood', () => {
  const change = makeTaskChange();
  const { expiresAt: _expiresAt, retry: _retry, ...olderTask } = change.task;
  const message = JSON.parse(encodeTaskChange(change));
  const older = Buffer.from(JSON.stringify({ event: message.event, task: olderTask }));
  expect(decodeTaskChange(older).task).toMatchObject({ expiresAt: null, retry: null });
});

test('progress is decoded as it was encoded, without what a newer process adds', () => {
  const progress = makeTaskProgress({ message: null });
  const newer = { ...progress, stage: 'reading' };
  expect(decodeTaskProgress(Buffer.from(encodeTaskProgress(newer)))).toEqual(progress);
});

test('a payload and a result of up to 64 KiB travel along; larger ones stay behind, and it is said which', () => {
  const small = 'x'.repeat(65_000);
  const large = 'x'.repeat(66_000);
  const travel = (payload: string, result: string) => {
    const message = Buffer.from(encodeTaskChange(makeTaskChange({ task: { payload, result } })));
    const { task } = decodeTaskChange(message);
    return [message.length < 68_000, task.payload, task.result, task.omitted];
  };
  expect(travel(small, 'done')).toEqual([true, small, 'done', undefined]);
  expect(travel(large, small)).toEqual([true, null, small, ['payload']]);
  expect(travel(large, large)).toEqual([true, null, null, ['payload', 'result']]);
});

test('the id of a task is read as PostgreSQL writes it, whoever sent it', () => {
  const id = '01890000-0000-7000-8000-00000000000A';
  const sent = encodeTaskMessage({ id, priority: 'HIGH' });
  expect(decodeTaskMessage(sent).id).toBe(id.toLowerCase());
});

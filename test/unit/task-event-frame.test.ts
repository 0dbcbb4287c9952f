import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/domain/errors.ts';
import { createTaskEventFraming, lastFrame } from '../../src/rest/task-event-frame.ts';
import { taskEventJson } from '../../src/rest/task-event-json.ts';
import { cursorOf } from '../../src/tasks/cursor.ts';
import { createLogLines } from '../support/log-lines.ts';
import { makeTaskChange } from '../support/task-changes.ts';

describe('a change as a server-sent event', () => {
  test('is its cursor, one line of JSON and nothing else', () => {
    const reason = 'two\nlines\r\nand\u2028more';
    const change = makeTaskChange({ event: { reason } });
    const frame = String(createTaskEventFraming()(change));
    const [id, data, ...end] = frame.split('\n');
    expect(id).toBe(`id: ${cursorOf(change)}`);
    expect(end).toEqual(['', '']);
    expect(data).toMatch(/^data: \{/);
    expect(frame).not.toContain('\r');
    const json = taskEventJson.strict().parse(JSON.parse(String(data).slice(6)));
    expect(json).toMatchObject({
      cursor: cursorOf(change),
      task_id: change.task.id,
      version: 5,
      status: 'COMPLETED',
      previous_status: 'IN_PROGRESS',
      attempt: 2,
      at: '2025-01-02T03:04:05.678Z',
      reason,
      task: { id: change.task.id, title: 'Send the letter', max_attempts: 3, error: 'boom' },
    });
  });

  test('is made once for all who are told of it', () => {
    const frame = createTaskEventFraming();
    const change = makeTaskChange();
    expect(frame(change)).toBe(frame(change));
    expect(frame({ ...change })).not.toBe(frame(change));
  });
});

describe('the end of a stream', () => {
  test('is silent when all went well', () => {
    expect(lastFrame(undefined, pino({ level: 'silent' }))).toBe('');
  });

  test('is told as a problem to a reader that lagged behind, under no id', () => {
    const { log, lines } = createLogLines();
    const said = lastFrame(new AppError('LAGGED', 'Too slow.'), log);
    expect(said).toMatch(/^event: lagged\ndata: \{.*\}\n\n$/);
    expect(said).toContain('"status":503,"detail":"Too slow."');
    expect(lines.all).toEqual([]);
  });

  test.each([new Error('secret'), new AppError('SERVICE_UNAVAILABLE', 'Away.')])(
    'is a cut, and one line in the log, for whatever else went wrong: %s',
    (error) => {
      const { log, lines } = createLogLines();
      expect(lastFrame(error, log)).toBeUndefined();
      expect(lines.all).toMatchObject([{ level: 'error', err: { message: error.message } }]);
    },
  );
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Task } from '../../src/domain/task.ts';
import type { TaskHandler } from '../../src/worker/handler.ts';
import { runHandler } from '../../src/worker/run-handler.ts';
import { createRun } from '../../src/worker/runs.ts';
import { createLogLines } from '../support/log-lines.ts';

const LONG_MS = 60_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a handler that ignores its signal loses its slot after a while, and its result does not count', async () => {
  const { run, ended, logs } = start(() => new Promise(() => {}));
  run.abort('SHUTDOWN');
  await vi.advanceTimersByTimeAsync(LONG_MS);
  expect(await ended).toEqual({ kind: 'ABANDONED' });
  expect(errors(logs)).toEqual([expect.stringContaining('ignores its signal')]);
});

test('a run that was aborted before it began does not begin', async () => {
  const began: string[] = [];
  for (const [reason, kind] of [
    ['SHUTDOWN', 'UNSEEN'],
    ['CANCELLED', 'ABANDONED'],
  ] as const) {
    const { ended } = start(
      async () => void began.push(reason),
      (run) => run.abort(reason),
    );
    expect(await ended).toEqual({ kind });
  }
  expect(began).toEqual([]);
});

test('an abort that comes after the handler has returned is nobody’s fault', async () => {
  const { run, ended, logs } = start(async () => 'done');
  expect(await ended).toEqual({ kind: 'RETURNED', result: 'done' });
  run.abort('LOST');
  await vi.advanceTimersByTimeAsync(LONG_MS);
  expect(errors(logs)).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test('what was finished while the worker shuts down is kept, what was cancelled is not', async () => {
  for (const [reason, kind] of [
    ['SHUTDOWN', 'RETURNED'],
    ['CANCELLED', 'ABANDONED'],
    ['LOST', 'ABANDONED'],
  ] as const) {
    const finish = Promise.withResolvers<string>();
    const { run, ended } = start(() => finish.promise);
    run.abort(reason);
    finish.resolve('done');
    expect((await ended).kind).toBe(kind);
  }
});

test('whatever is thrown becomes an error that can be stored', async () => {
  const thrown = Object.assign(new Error(`a\0b${'x'.repeat(20_000)}\ud800`), { name: 'Odd\0' });
  const hostile = Object.defineProperty(new Error(), 'message', {
    get() {
      throw new Error('nothing to see here');
    },
  });
  const shut = new Proxy(
    {},
    {
      getPrototypeOf() {
        throw new Error('closed');
      },
    },
  );
  const odds = [thrown, 'text', undefined, null, { toString: null }, hostile, shut];
  for (const odd of odds) {
    const result = await start(() => Promise.reject(odd)).ended;
    if (result.kind !== 'FAILED') throw new Error('did not fail');
    const text = JSON.stringify(result.failure.error);
    expect(text).not.toContain('\\u0000');
    expect(text.length).toBeLessThan(30_000);
    expect(text.isWellFormed()).toBe(true);
  }
});

function start(
  work: TaskHandler['run'],
  before: (run: ReturnType<typeof createRun>) => void = () => {},
) {
  const logs = createLogLines();
  const run = createRun({ id: 'a', version: 3, attempt: 1, timeoutSeconds: null } as Task);
  before(run);
  const handler = { description: 'a test', run: work };
  const ended = runHandler(run, handler, { progress: () => {}, log: logs.log });
  return { run, ended, logs };
}

function errors({ lines }: ReturnType<typeof createLogLines>): string[] {
  return lines.all.filter(({ level }) => level === 'error').map(({ msg }) => msg);
}

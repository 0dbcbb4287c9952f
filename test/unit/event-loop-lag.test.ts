import { expect, onTestFinished, test, vi } from 'vitest';
import type { Task } from '../../src/domain/task.ts';
import { watchEventLoop } from '../../src/worker/event-loop-lag.ts';
import { createRun, createRuns } from '../../src/worker/runs.ts';
import { createLogLines } from '../support/log-lines.ts';

test('a handler that computes without a pause is told of, once, and with its type', async () => {
  const runs = createRuns();
  const { log, lines } = createLogLines();
  onTestFinished(watchEventLoop({ runs, log }));
  // Nothing is held up.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(lines.all).toEqual([]);

  runs.add(createRun({ id: 'one', type: 'sums', version: 3 } as Task));
  compute(800);
  await vi.waitFor(() => expect(lines.all).toHaveLength(1), { timeout: 3_000 });
  expect(lines.all[0]).toMatchObject({ level: 'warn', types: ['sums'], lagMs: expect.any(Number) });
  compute(800);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(lines.all).toHaveLength(1);
});

function compute(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

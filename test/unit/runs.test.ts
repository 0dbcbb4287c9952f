import { expect, test } from 'vitest';
import { createRun, createRuns } from '../../src/worker/runs.ts';
import { makeTaskChange } from '../support/task-changes.ts';

test('a second run of a task ends the first one, whose claim is gone', () => {
  const runs = createRuns();
  const { task } = makeTaskChange();
  const [first, second] = [createRun(task), createRun({ ...task, version: task.version + 2 })];
  runs.add(first);
  runs.add(second);
  expect([first.abortReason(), second.abortReason()]).toEqual(['LOST', undefined]);
  runs.remove(first);
  expect(runs.all()).toEqual([second]);
});

import { v7 as uuidv7 } from 'uuid';
import type { TaskProgress } from '../../src/domain/task.ts';

/** Progress as the store gives it, with what the test cares about put in. */
export function makeTaskProgress(progress: Partial<TaskProgress> = {}): TaskProgress {
  return {
    taskId: uuidv7(),
    version: 3,
    attempt: 1,
    progress: 0.5,
    message: 'half way',
    at: new Date('2025-01-02T03:04:05.678Z'),
    ...progress,
  };
}

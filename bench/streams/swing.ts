import { randomUUID } from 'node:crypto';
import type { Task } from '../../src/domain/task.ts';
import { claim, release, type Transition } from '../../src/domain/transitions.ts';

const WORKER_ID = randomUUID();

/** Begins a run or gives it back: a task can go on like that for ever, and never becomes final. */
export function swing({ id, status, version }: Task): Transition {
  return status === 'IN_PROGRESS' ? release({ taskId: id, version }) : claim(id, WORKER_ID);
}

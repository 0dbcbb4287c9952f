import type { TaskChange, TaskStatus } from '../../src/domain/task.ts';

const NEXT: Partial<Record<TaskStatus, TaskStatus>> = {
  NEW: 'PENDING',
  PENDING: 'IN_PROGRESS',
  IN_PROGRESS: 'NEW',
};

/** Changes as they could follow: announced only, unknown to the database. None is final. */
export function successors(latest: TaskChange, count: number): TaskChange[] {
  const changes: TaskChange[] = [];
  let last = latest;
  while (changes.length < count) {
    last = successor(last);
    changes.push(last);
  }
  return changes;
}

function successor({ event, task }: TaskChange): TaskChange {
  const status = NEXT[event.status] ?? 'NEW';
  const version = event.version + 1;
  return {
    event: {
      ...event,
      version,
      status,
      seq: event.seq + 1n,
      previousStatus: event.status,
      at: new Date(),
    },
    task: { ...task, version, status },
  };
}

import type { TaskPriority } from '../domain/task.ts';

/**
 * How many tasks of each priority may run here at a time. The queue's prefetch is the same number, but it counts
 * messages: after a reconnect they come again while their tasks still run, and one that was acknowledged early counts
 * no more.
 */
export interface Slots {
  /** Resolves to true with a slot, or to false when none became free in time. */
  acquire(priority: TaskPriority, withinMs: number): Promise<boolean>;
  release(priority: TaskPriority): void;
}

export function createSlots(sizes: Readonly<Record<TaskPriority, number>>): Slots {
  const free = { ...sizes };
  const waiting: Record<TaskPriority, Set<(acquired: boolean) => void>> = {
    HIGH: new Set(),
    MEDIUM: new Set(),
    LOW: new Set(),
  };

  return {
    async acquire(priority, withinMs) {
      if (free[priority] > 0) {
        free[priority] -= 1;
        return true;
      }
      return new Promise((resolve) => {
        const timer = setTimeout(() => settle(false), withinMs);
        function settle(acquired: boolean) {
          clearTimeout(timer);
          waiting[priority].delete(settle);
          resolve(acquired);
        }
        waiting[priority].add(settle);
      });
    },
    release(priority) {
      const [first] = waiting[priority];
      if (first === undefined) free[priority] += 1;
      else first(true);
    },
  };
}

import type { Task } from '../domain/task.ts';

/** The task with what was too large to travel with a change. */
export type WholeTask = (task: Task) => Task | Promise<Task>;

/**
 * What is missing is read once for all who ask. It has not changed since: a payload never does, and a result stays, since
 * COMPLETED does.
 */
export function createWholeTask(get: (id: string) => Promise<Task>): WholeTask {
  const reading = new WeakMap<Task, Promise<Task>>();

  async function read(task: Task): Promise<Task> {
    const { omitted = [], ...rest } = task;
    const stored = await get(task.id);
    const missing = Object.fromEntries(omitted.map((field) => [field, stored[field]]));
    return { ...rest, ...missing };
  }

  return (task) => {
    if (task.omitted === undefined) return task;
    const known = reading.get(task) ?? read(task);
    reading.set(task, known);
    // The next to ask may have better luck.
    known.catch(() => reading.delete(task));
    return known;
  };
}

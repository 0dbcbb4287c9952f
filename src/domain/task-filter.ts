import { z } from 'zod';
import { text } from './new-task.ts';
import { taskIdSchema } from './parse.ts';
import { TASK_PRIORITIES, TASK_STATUSES, type Task } from './task.ts';

/** Which tasks a client means. Every part that is given must match; an empty list matches nothing. */
export const taskFilterSchema = z.strictObject({
  ids: z.array(taskIdSchema).max(1_000, { error: 'must have at most 1,000 ids' }).nullish(),
  status: z.array(z.enum(TASK_STATUSES)).nullish(),
  priority: z.array(z.enum(TASK_PRIORITIES)).nullish(),
  type: z.array(text(100)).max(100, { error: 'must have at most 100 types' }).nullish(),
  /** Case-insensitive part of the title or the description. */
  search: text(255).min(1, { error: 'must not be empty' }).nullish(),
  createdAfter: z.date().nullish(),
  createdBefore: z.date().nullish(),
});

/** The same where a filter that says nothing would change everything by accident. */
export const narrowTaskFilterSchema = taskFilterSchema.refine(
  (filter) => Object.values(filter).some((part) => part != null),
  { error: 'must have at least one condition' },
);

export type TaskFilter = z.infer<typeof taskFilterSchema>;

/**
 * Whether a task is one of those meant: the same rule as the query of `tasks`, for a task at hand.
 * @param atStatus as if it had this one
 */
export function matchesFilter(filter: TaskFilter, task: Task, atStatus = task.status): boolean {
  const { ids, status, priority, type, search, createdAfter, createdBefore } = filter;
  return (
    (ids == null || ids.some((id) => id.toLowerCase() === task.id)) &&
    (status == null || status.includes(atStatus)) &&
    (priority == null || priority.includes(task.priority)) &&
    (type == null || type.includes(task.type)) &&
    (search == null || mentions(task, search)) &&
    (createdAfter == null || task.createdAt > createdAfter) &&
    (createdBefore == null || task.createdAt < createdBefore)
  );
}

function mentions(task: Task, search: string): boolean {
  const wanted = foldCase(search);
  return foldedTexts(task).some((text) => text.includes(wanted));
}

/** Once for all who search. */
function foldedTexts(task: Task): readonly string[] {
  const known = folded.get(task);
  if (known !== undefined) return known;
  const texts = [foldCase(task.title), foldCase(task.description)];
  folded.set(task, texts);
  return texts;
}

const folded = new WeakMap<Task, readonly string[]>();

/** Letter by letter, as PostgreSQL's `ilike` does. These two are all for which `toLowerCase` does otherwise. */
function foldCase(text: string): string {
  return text.replaceAll('Σ', 'σ').replaceAll('İ', 'i').toLowerCase();
}

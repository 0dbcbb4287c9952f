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

/** Whether a task is one of those meant: the same rule as the query of `tasks`, for a task at hand. */
export function matchesFilter(filter: TaskFilter, task: Task): boolean {
  const { ids, status, priority, type, search, createdAfter, createdBefore } = filter;
  return (
    (ids == null || ids.some((id) => id.toLowerCase() === task.id)) &&
    (status == null || status.includes(task.status)) &&
    (priority == null || priority.includes(task.priority)) &&
    (type == null || type.includes(task.type)) &&
    (search == null || mentions(task, search)) &&
    (createdAfter == null || task.createdAt > createdAfter) &&
    (createdBefore == null || task.createdAt < createdBefore)
  );
}

function mentions(task: Task, search: string): boolean {
  const wanted = foldCase(search);
  return [task.title, task.description].some((text) => foldCase(text).includes(wanted));
}

/** Letter by letter, as PostgreSQL's `ilike` does: of a whole text `toLowerCase` looks at what stands beside a letter. */
function foldCase(text: string): string {
  if (IS_ASCII.test(text)) return text.toLowerCase();
  return text.replace(/./gsu, (letter) => (letter === 'İ' ? 'i' : letter.toLowerCase()));
}

const IS_ASCII = /^[\0-\x7f]*$/;

import { z } from 'zod';
import { text } from '../domain/new-task.ts';
import { TASK_PRIORITIES, TASK_STATUSES } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';

/** A parameter of a query, as text. */
export const once = z.string({ error: 'must be given only once' });

/** The parameters of a query by which tasks are filtered. */
export const taskFilterQuery = {
  status: once.pipe(oneOf(TASK_STATUSES)).optional().meta({
    description: 'Only tasks with this status.',
  }),
  priority: once.pipe(oneOf(TASK_PRIORITIES)).optional().meta({
    description: 'Only tasks with this priority.',
  }),
  type: once.pipe(text(100)).optional().meta({ description: 'Only tasks of this type.' }),
};

const taskFilterJson = z.object(taskFilterQuery);

export function toTaskFilter({
  status,
  priority,
  type,
}: z.infer<typeof taskFilterJson>): TaskFilter {
  return {
    status: status && [status],
    priority: priority && [priority],
    type: type === undefined ? undefined : [type],
  };
}

/** `?status=&limit=10` is what a form sends, or a script whose variable is empty: no filter. */
export function withoutBlanks(query: unknown, names: readonly string[]): unknown {
  if (typeof query !== 'object' || query === null) return query;
  return Object.fromEntries(
    Object.entries(query).filter(([name, value]) => value !== '' || !names.includes(name)),
  );
}

function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` });
}

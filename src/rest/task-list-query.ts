import { z } from 'zod';
import { text } from '../domain/new-task.ts';
import { parseInput } from '../domain/parse.ts';
import { TASK_PRIORITIES, TASK_STATUSES } from '../domain/task.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import type { PageRequest } from '../store/task-queries.ts';

/** Deeper than this, PostgreSQL counts rows for too long. GraphQL's cursors have no such limit. */
const MAX_SKIP = 1_000_000;
const MAX_LIMIT = 100;

const once = z.string({ error: 'must be given only once' });

/** The query of `GET /tasks`. */
export const taskListQuery = z.strictObject({
  status: once.pipe(oneOf(TASK_STATUSES)).optional().meta({
    description: 'Only tasks with this status.',
  }),
  priority: once.pipe(oneOf(TASK_PRIORITIES)).optional().meta({
    description: 'Only tasks with this priority.',
  }),
  type: once.pipe(text(100)).optional().meta({ description: 'Only tasks of this type.' }),
  skip: wholeNumber(0, MAX_SKIP).default(0).meta({ description: 'How many to leave out first.' }),
  limit: wholeNumber(1, MAX_LIMIT).default(10).meta({ description: 'How many to give at most.' }),
});

/** @throws AppError BAD_USER_INPUT */
export function parseTaskListQuery(query: unknown): { filter: TaskFilter; page: PageRequest } {
  const { status, priority, type, ...page } = parseInput(taskListQuery, withoutBlankFilters(query));
  const filter = {
    status: status && [status],
    priority: priority && [priority],
    type: type === undefined ? undefined : [type],
  };
  return { filter, page };
}

/** `?status=&limit=10` is what a form sends, or a script whose variable is empty: no filter. */
function withoutBlankFilters(query: unknown): unknown {
  if (typeof query !== 'object' || query === null) return query;
  const filters = ['status', 'priority', 'type'];
  return Object.fromEntries(
    Object.entries(query).filter(([name, value]) => value !== '' || !filters.includes(name)),
  );
}

function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` });
}

function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max.toLocaleString('en-US')}`;
  return once
    .regex(/^\d{1,15}$/, { error })
    .transform(Number)
    .pipe(z.int().min(min, { error }).max(max, { error }));
}

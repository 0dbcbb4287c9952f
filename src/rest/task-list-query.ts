import { z } from 'zod';
import { parseInput } from '../domain/parse.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import type { PageRequest } from '../store/task-queries.ts';
import { once, taskFilterQuery, toTaskFilter, withoutBlanks } from './task-filter-query.ts';

/** Deeper than this, PostgreSQL counts rows for too long. GraphQL's cursors have no such limit. */
const MAX_SKIP = 1_000_000;
const MAX_LIMIT = 100;

/** The query of `GET /tasks`. */
export const taskListQuery = z.strictObject({
  ...taskFilterQuery,
  skip: wholeNumber(0, MAX_SKIP).default(0).meta({ description: 'How many to leave out first.' }),
  limit: wholeNumber(1, MAX_LIMIT).default(10).meta({ description: 'How many to give at most.' }),
});

/** @throws AppError BAD_USER_INPUT */
export function parseTaskListQuery(query: unknown): { filter: TaskFilter; page: PageRequest } {
  const given = withoutBlanks(query, Object.keys(taskFilterQuery));
  const { skip, limit, ...filter } = parseInput(taskListQuery, given);
  return { filter: toTaskFilter(filter), page: { skip, limit } };
}

function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max.toLocaleString('en-US')}`;
  return once
    .regex(/^\d{1,15}$/, { error })
    .transform(Number)
    .pipe(z.int().min(min, { error }).max(max, { error }));
}

import { z } from 'zod';
import { badInput, type InputIssue } from './errors.ts';

/**
 * Parses what a client sent, once, at the door.
 * @param root where in the client's input the value stands; issues are told by their path from the outside
 * @throws AppError BAD_USER_INPUT that names every problem, or the first hundred
 */
export function parseInput<S extends z.ZodType>(
  schema: S,
  value: unknown,
  root: readonly (string | number)[] = [],
): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.flatMap((issue) => toInputIssues(issue, root));
  throw badInput(issues.slice(0, MAX_ISSUES));
}

/** Nobody reads more, and an answer must not be many times larger than the question. */
export const MAX_ISSUES = 100;

/** The id of a task, as both APIs take it. */
export function parseTaskId(value: unknown, root: readonly (string | number)[] = ['id']): string {
  return parseInput(taskIdSchema, value, root).toLowerCase();
}

/** Of any version: what is none of ours is not found. */
export const taskIdSchema = z.guid({ error: 'must be a UUID' });

function toInputIssues(issue: z.core.$ZodIssue, root: readonly (string | number)[]): InputIssue[] {
  const path = [...root, ...issue.path.map((key) => (typeof key === 'number' ? key : String(key)))];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'is not a known field' }));
  }
  return [{ path, message: issue.message }];
}

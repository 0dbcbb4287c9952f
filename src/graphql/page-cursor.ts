import { badInput } from '../domain/errors.ts';
import { taskIdSchema } from '../domain/parse.ts';

/** The opaque text by which a page of tasks is continued. Holds the id alone: ids rise with time, so they order the list. */
export function encodePageCursor(id: string): string {
  return Buffer.from(`task:${id}`).toString('base64url');
}

/** @throws AppError BAD_USER_INPUT when the text, given as `argument`, is not one of ours */
export function decodePageCursor(argument: 'after' | 'before', cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const id = text.startsWith('task:') ? text.slice('task:'.length) : '';
  if (taskIdSchema.safeParse(id).success) return id;
  throw badInput([{ path: [argument], message: 'is not a cursor of this list' }]);
}

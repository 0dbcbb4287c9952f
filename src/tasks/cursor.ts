import { badInput } from '../domain/errors.ts';
import type { TaskEvent } from '../domain/task.ts';

/** Where in the stream of changes an event stands: in its task's history by version, among all by seq. */
export type Position = Pick<TaskEvent, 'taskId' | 'version' | 'seq'>;

/** The opaque text that clients hand back as `after`; valid on every API process. */
export function encodeCursor({ taskId, version, seq }: Position): string {
  return Buffer.from(`1:${seq}:${version}:${taskId}`).toString('base64url');
}

/** @throws AppError BAD_USER_INPUT when `cursor` is not one of ours */
export function decodeCursor(cursor: string): Position {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const match = /^1:(\d{1,19}):(\d{1,9}):([0-9a-f-]{36})$/.exec(text);
  const [, seq, version, taskId] = match ?? [];
  if (seq === undefined || version === undefined || taskId === undefined) {
    throw badInput([{ path: ['after'], message: 'is not a cursor of this service' }]);
  }
  return { taskId, version: Number(version), seq: BigInt(seq) };
}

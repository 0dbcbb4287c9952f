import type { IncomingHttpHeaders } from 'node:http';
import { badInput } from '../domain/errors.ts';
import { newTaskFields } from '../domain/new-task.ts';
import { parseInput } from '../domain/parse.ts';

export const IDEMPOTENCY_KEY = 'Idempotency-Key';

/** The header, under the same rule as GraphQL's `idempotencyKey`; null without it. */
export function idempotencyKeyOf(headers: IncomingHttpHeaders): string | null {
  const value = headers['idempotency-key'];
  if (value === undefined) return null;
  return parseInput(newTaskFields.idempotencyKey, decode(String(value)), [IDEMPOTENCY_KEY]);
}

/** Node hands headers over byte by byte, and one space of keys is shared with GraphQL, which has all of Unicode. */
function decode(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    throw badInput([{ path: [IDEMPOTENCY_KEY], message: 'must be UTF-8' }]);
  }
}

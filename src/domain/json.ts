import type { Json } from './task.ts';

/** What PostgreSQL and every client can take; deeper JSON breaks recursive readers. */
export const MAX_JSON_BYTES = 256 * 1024;
export const MAX_JSON_DEPTH = 100;

/** What keeps `value` from being stored as JSON, as a sentence fragment; undefined when nothing does. */
export function jsonProblem(value: unknown): string | undefined {
  const problem = deepProblem(value, MAX_JSON_DEPTH);
  if (problem !== undefined) return problem;
  const bytes = Buffer.byteLength(JSON.stringify(value));
  return bytes > MAX_JSON_BYTES
    ? `must have at most ${MAX_JSON_BYTES / 1024} KiB as JSON`
    : undefined;
}

/**
 * What a handler returned, as JSON: `undefined` becomes null, a Date its text, as `JSON.stringify` does it.
 * @throws TypeError when it can't be stored
 */
export function toJson(value: unknown): Json {
  const json: Json = value === undefined ? null : JSON.parse(JSON.stringify(value) ?? 'null');
  const problem = jsonProblem(json);
  if (problem !== undefined) throw new TypeError(`The result ${problem}.`);
  return json;
}

/** Text that PostgreSQL can hold: no NUL, no half of a surrogate pair. */
export function textProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL characters';
  if (!text.isWellFormed()) return 'must be well-formed Unicode';
  return undefined;
}

/** The beginning of any text, without what PostgreSQL can't hold. */
export function storableText(text: string, maxLength: number): string {
  return String(text).slice(0, maxLength).replaceAll('\0', '').toWellFormed();
}

function deepProblem(value: unknown, depthLeft: number): string | undefined {
  if (value === null || typeof value === 'boolean') return undefined;
  if (typeof value === 'string') return textProblem(value);
  if (typeof value === 'number') {
    return Number.isFinite(value) ? undefined : 'must contain only finite numbers';
  }
  if (typeof value !== 'object') return 'must be JSON';
  if (depthLeft === 0) return `must not be nested deeper than ${MAX_JSON_DEPTH} levels`;
  for (const [key, child] of Object.entries(value)) {
    const problem = textProblem(key) ?? deepProblem(child, depthLeft - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

import { badInput } from '../domain/errors.ts';
import type { TaskChange } from '../domain/task.ts';
import { allAfter, MAX_SEQ, positionOf, type SeqRange, type SeqSet } from './seq-set.ts';

/** What a change does to the list of tasks that match a filter. */
export const LIST_MOVES = ['ENTERED', 'CHANGED', 'LEFT'] as const;
export type ListMove = (typeof LIST_MOVES)[number];

/** A change on its way to one subscriber. */
export interface StreamedChange extends TaskChange {
  /** Where many tasks are watched: what this subscriber has yet to see after it, late changes included. */
  readonly unseen?: SeqSet;
  /** Where a list of tasks is watched. */
  readonly move?: ListMove;
}

/** From where a stream goes on: one task's after the version, that of many tasks with all that is yet unseen. */
export interface Position {
  taskId: string;
  version: number;
  unseen: SeqSet;
}

/**
 * The opaque text that clients hand back as `after`; valid on every API process. It tells which change was the last,
 * and which earlier ones had yet to come: changes become visible a little out of the order of seq (see `followChanges`).
 * A change from the history or the stream of one task stands for all before it.
 */
export function cursorOf({ event, unseen = allAfter(event.seq) }: StreamedChange): string {
  return encode(unseen, event.version, event.taskId);
}

function encode(unseen: SeqSet, version: number, taskId: string): string {
  const late = unseen.slice(0, -1);
  const text =
    late.length === 0
      ? `1:${positionOf(unseen)}:${version}:${taskId}`
      : `2:${positionOf(unseen)}:${version}:${taskId}:${encodeLate(late, positionOf(unseen))}`;
  return Buffer.from(text).toString('base64url');
}

/** The cursor of somebody who has seen no change yet, and is to see these. */
export function startCursor(unseen: SeqSet): string {
  return encode(unseen, 0, NO_TASK);
}

/** @throws AppError BAD_USER_INPUT when `cursor` is not one of ours */
export function decodeCursor(cursor: string): Position {
  const text = Buffer.from(cursor.slice(0, MAX_LENGTH), 'base64url').toString('latin1');
  const [, seq, number, taskId, late] = FORMAT.exec(text) ?? [];
  const position = BigInt(seq ?? 0);
  const version = Number(number);
  const ranges = decodeLate(late, position);
  if (taskId !== undefined && position < MAX_SEQ && version <= MAX_VERSION && ranges) {
    return { taskId, version, unseen: [...ranges, ...allAfter(position)] };
  }
  throw badInput([{ path: ['after'], message: 'is not a cursor of this service' }]);
}

const NO_TASK = '00000000-0000-0000-0000-000000000000';
const FORMAT =
  /^[12]:(\d{1,19}):(\d{1,10}):([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})(?::([\d.]+(?:,[\d.]+)*))?$/;
const MAX_VERSION = 2 ** 31 - 1;
/** Twice as many ranges as a process leaves open: while it backfills, a stream has those of two processes. */
const MAX_LATE = 2 * 2_000;
/** Characters; no cursor within the other bounds is longer. */
const MAX_LENGTH = 100_000;

/** From the last range to the first: `distance.length`, the distance up to what comes next; a length of 1 is left out. */
function encodeLate(late: SeqSet, position: bigint): string {
  let next = position;
  return late
    .toReversed()
    .map(({ first, last }) => {
      const distance = next - last;
      next = first;
      return last === first ? distance : `${distance}.${last - first + 1n}`;
    })
    .join();
}

function decodeLate(text: string | undefined, position: bigint): SeqSet | undefined {
  const parts = text?.split(',') ?? [];
  if (parts.length > MAX_LATE) return undefined;
  const late: SeqRange[] = [];
  let next = position;
  for (const part of parts) {
    const [, distance, length] = /^(\d{1,19})(?:\.(\d{1,19}))?$/.exec(part) ?? [];
    const last = next - BigInt(distance ?? 0);
    const first = last - BigInt(length ?? 1) + 1n;
    if (!(1n <= first && first <= last && last < next)) return undefined;
    late.push({ first, last });
    next = first;
  }
  return late.reverse();
}

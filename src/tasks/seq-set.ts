/**
 * A set of seqs: ranges, both ends included, that rise and do not overlap. Never changed in place, so that it can be
 * shared.
 */
export type SeqSet = readonly SeqRange[];

export interface SeqRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** The greatest bigint of PostgreSQL. */
export const MAX_SEQ = 2n ** 63n - 1n;

/** Every seq after this one, those of the future included. */
export function allAfter(position: bigint): SeqSet {
  return position < MAX_SEQ ? [{ first: position + 1n, last: MAX_SEQ }] : [];
}

/** Of a set that reaches into the future: the seq after which it has everything. */
export function positionOf(set: SeqSet): bigint {
  const future = set.at(-1);
  return future === undefined ? MAX_SEQ : future.first - 1n;
}

export function has(set: SeqSet, seq: bigint): boolean {
  return set.some(({ first, last }) => first <= seq && seq <= last);
}

export function isSame(one: SeqSet, other: SeqSet): boolean {
  return (
    one === other ||
    (one.length === other.length &&
      one.every((range, i) => range.first === other[i]?.first && range.last === other[i]?.last))
  );
}

/** What is in both. */
export function intersect(one: SeqSet, other: SeqSet): SeqSet {
  const common: SeqRange[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [one[i], other[j]];
    if (a === undefined || b === undefined) return common;
    const first = a.first > b.first ? a.first : b.first;
    const last = a.last < b.last ? a.last : b.last;
    if (first <= last) common.push(first === a.first && last === a.last ? a : { first, last });
    if (a.last === last) i += 1;
    if (b.last === last) j += 1;
  }
}

/** What is in `set` and not in `gone`. */
export function without(set: SeqSet, gone: SeqSet): SeqSet {
  return intersect(set, complement(gone));
}

export function withoutSeq(set: SeqSet, seq: bigint): SeqSet {
  return without(set, [{ first: seq, last: seq }]);
}

/** What is in `set` up to and including `seq`. */
export function upTo(set: SeqSet, seq: bigint): SeqSet {
  return intersect(set, [{ first: 0n, last: seq }]);
}

function complement(set: SeqSet): SeqSet {
  const rest: SeqRange[] = [];
  let next = 0n;
  for (const { first, last } of set) {
    if (next < first) rest.push({ first: next, last: first - 1n });
    next = last + 1n;
  }
  if (next <= MAX_SEQ) rest.push({ first: next, last: MAX_SEQ });
  return rest;
}

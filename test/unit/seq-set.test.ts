import { describe, expect, test } from 'vitest';
import {
  allAfter,
  has,
  intersect,
  MAX_SEQ,
  positionOf,
  type SeqSet,
  upTo,
  without,
  withoutSeq,
} from '../../src/tasks/seq-set.ts';
import { seeded } from '../support/churn.ts';

describe('a set of seqs', () => {
  test('behaves as the set of its numbers does', () => {
    const random = seeded(3);
    for (let round = 0; round < 300; round += 1) {
      const [a, b] = [randomSet(random), randomSet(random)];
      const [inA, inB] = [new Set(a.numbers), new Set(b.numbers)];
      const seq = BigInt(Math.floor(random() * 40));
      expect(numbersOf(intersect(a.set, b.set))).toEqual(a.numbers.filter((n) => inB.has(n)));
      expect(numbersOf(without(a.set, b.set))).toEqual(a.numbers.filter((n) => !inB.has(n)));
      expect(numbersOf(withoutSeq(a.set, seq))).toEqual(a.numbers.filter((n) => n !== seq));
      expect(numbersOf(upTo(a.set, seq))).toEqual(a.numbers.filter((n) => n <= seq));
      expect(has(a.set, seq)).toBe(inA.has(seq));
    }
  });

  test('reaches to the end of all numbers, and no further', () => {
    expect(allAfter(MAX_SEQ)).toEqual([]);
    expect(positionOf([])).toBe(MAX_SEQ);
    const future = allAfter(7n);
    expect(positionOf(future)).toBe(7n);
    expect(positionOf(withoutSeq(future, 9n))).toBe(9n);
    expect(without(future, future)).toEqual([]);
    expect(without(allAfter(0n), future)).toEqual([{ first: 1n, last: 7n }]);
  });
});

/** Of the numbers from 0 to 39. */
function randomSet(random: () => number): { set: SeqSet; numbers: bigint[] } {
  const numbers = Array.from({ length: 40 }, (_, n) => BigInt(n)).filter(() => random() < 0.5);
  const others = Array.from({ length: 40 }, (_, n) => BigInt(n)).filter(
    (n) => !numbers.includes(n),
  );
  const everything: SeqSet = [{ first: 0n, last: 39n }];
  return { set: others.reduce(withoutSeq, everything), numbers };
}

function numbersOf(set: SeqSet): bigint[] {
  return set.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, n) => first + BigInt(n)),
  );
}

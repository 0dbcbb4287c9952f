import { describe, expect, test } from 'vitest';
import { cursorOf, decodeCursor } from '../../src/tasks/cursor.ts';
import { allAfter, MAX_SEQ, type SeqSet, withoutSeq } from '../../src/tasks/seq-set.ts';
import { seeded } from '../support/churn.ts';
import { makeTaskChange } from '../support/task-changes.ts';

const ID = '01890000-0000-7000-8000-000000000001';
const change = makeTaskChange({ task: { id: ID }, event: { taskId: ID, version: 7, seq: 42n } });

describe('a cursor', () => {
  test('brings back where its change stands', () => {
    expect(decodeCursor(cursorOf(change))).toEqual({
      taskId: ID,
      version: 7,
      unseen: allAfter(42n),
    });
  });

  test('brings back what was late, and is short for it', () => {
    const random = seeded(5);
    for (let round = 0; round < 50; round += 1) {
      let unseen: SeqSet = allAfter(9_007_199_254_740_993n);
      for (let count = 0; count < 40; count += 1) {
        unseen = withoutSeq(unseen, 9_007_199_254_740_994n + BigInt(Math.floor(random() * 100)));
      }
      const cursor = cursorOf({ ...change, unseen });
      expect(decodeCursor(cursor)).toEqual({ taskId: ID, version: 7, unseen });
      expect(cursor.length).toBeLessThan(250);
    }
    const unseen = [{ first: 3n, last: 9_000n }, ...allAfter(MAX_SEQ - 1n)];
    expect(decodeCursor(cursorOf({ ...change, unseen })).unseen).toEqual(unseen);
  });

  test('of an earlier release is understood', () => {
    const { unseen } = decodeCursor(encode(`1:12:3:${ID}`));
    expect(unseen).toEqual(allAfter(12n));
  });

  test.each([
    ['nothing', ''],
    ['other text', 'nonsense'],
    ['another release', `3:1:1:${ID}`],
    ['a seq beyond bigint', `1:${MAX_SEQ + 1n}:1:${ID}`],
    ['a seq that nothing can follow', `1:${MAX_SEQ}:1:${ID}`],
    ['a version beyond int', `1:1:${2 ** 31}:${ID}`],
    ['a negative seq', `1:-1:1:${ID}`],
    ['an id that is none', '1:1:1:00000000000000000000000000000000----'],
    ['late ones below zero', `2:10:1:${ID}:11`],
    ['late ones that reach below zero', `2:10:1:${ID}:1.10`],
    ['late ones after the position', `2:10:1:${ID}:0`],
    ['an empty range', `2:10:1:${ID}:2.0`],
    ['half a range', `2:10:1:${ID}:2.`],
    ['an empty list', `2:10:1:${ID}:`],
    ['more late ones than there ever are', `2:${10n ** 9n}:1:${ID}:${Array(4_001).fill('2')}`],
    ['more text than any cursor has', `2:${10n ** 9n}:1:${ID}:${'1'.repeat(1_000_000)}`],
  ])('is refused when it holds %s', (_what, text) => {
    expect(() => decodeCursor(encode(text))).toThrow(
      expect.objectContaining({
        code: 'BAD_USER_INPUT',
        issues: [{ path: ['after'], message: 'is not a cursor of this service' }],
      }),
    );
  });
});

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

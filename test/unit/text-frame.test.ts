import { expect, test } from 'vitest';
import * as ws from 'ws';
import { textFrame } from '../../src/http/text-frame.ts';

test.each([0, 1, 125, 126, 65_535, 65_536, 200_000])(
  'a frame of %i bytes is what ws makes of them',
  (length) => {
    const text = Buffer.alloc(length, 'ä€');
    const cut = Math.floor(length / 3);
    // biome-ignore lint/suspicious/noExplicitAny: not in the types of ws
    const theirs = (ws as any).Sender.frame(text, {
      fin: true,
      opcode: 1,
      mask: false,
      rsv1: false,
      readOnly: true,
    });
    expect(textFrame(text.subarray(0, cut), text.subarray(cut))).toEqual(Buffer.concat(theirs));
  },
);

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, onTestFinished, test } from 'vitest';
import { openLink } from '../../src/broker/rabbit-link.ts';
import { RABBIT_URL } from '../support/rabbit.ts';

test('what was confirmed is not kept for as long as the link lives', async () => {
  const link = await openLink({
    url: RABBIT_URL,
    name: 'a test',
    answerTimeoutMs: 5_000,
    signal: new AbortController().signal,
    onBlocked() {},
    onUnblocked() {},
  });
  onTestFinished(() => link.close(5_000));
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const answer = await link.confirmed(Promise.resolve({ index }));
      return new WeakRef(answer);
    }),
  );
  setFlagsFromString('--expose-gc');
  const collect: NodeJS.GCFunction = runInNewContext('gc');
  // What was dereferenced or made in this turn is kept until its end.
  await new Promise((resolve) => setImmediate(resolve));
  collect({ type: 'major', execution: 'sync' });
  const kept = answers.filter((answer) => answer.deref() !== undefined);
  expect(kept).toHaveLength(0);
});

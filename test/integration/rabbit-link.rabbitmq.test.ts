import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Channel } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import type { RabbitLink } from '../../src/broker/rabbit-link.ts';
import { openLink } from '../../src/broker/rabbit-link.ts';
import { createPublishEncoder } from '../../src/broker/rabbit-publish-frames.ts';
import { RABBIT_URL } from '../support/rabbit.ts';

test('what was confirmed is not kept for as long as the link lives', async () => {
  const link = await open();
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

test('frames for a channel that is being closed are not sent, and the link lives on', async () => {
  const link = await open();
  const channel = await link.openChannel();
  const { publish, waitingBytes } = publisherOn(link, channel, '');
  expect(publish()).toBe(true);
  const closed = link.closeChannel(channel);
  const sentMeanwhile = publish();
  await closed;
  expect([sentMeanwhile, publish(), waitingBytes()]).toEqual([false, false, 0]);
  const next = await link.openChannel();
  await link.closeChannel(next);
  expect(link.lost.aborted).toBe(false);
});

test('nor are those for a channel that RabbitMQ closed, from the moment it is known', async () => {
  const link = await open();
  const channel = await link.openChannel();
  const { publish } = publisherOn(link, channel, 'there is no such exchange');
  const onClose = Promise.withResolvers<boolean>();
  channel.on('close', () => onClose.resolve(publish()));
  expect(publish()).toBe(true);
  await expect(onClose.promise).resolves.toBe(false);
  // It gets the same number.
  const next = await link.openChannel();
  expect(publish()).toBe(false);
  expect(() => link.framesOn(channel)).toThrow(/is closed/);
  await link.closeChannel(next);
  expect(link.lost.aborted).toBe(false);
});

async function open(): Promise<RabbitLink> {
  const link = await openLink({
    url: RABBIT_URL,
    name: 'a test',
    answerTimeoutMs: 5_000,
    signal: new AbortController().signal,
    onBlocked() {},
    onUnblocked() {},
  });
  onTestFinished(() => link.close(5_000));
  return link;
}

function publisherOn(link: RabbitLink, channel: Channel, exchange: string) {
  const frames = link.framesOn(channel);
  const { number, frameMax } = frames;
  const encode = createPublishEncoder({ channel: number, exchange, frameMax });
  return {
    publish: () => frames.send(encode([{ routingKey: 'nobody', body: '{}' }])),
    waitingBytes: () => frames.waitingBytes,
  };
}

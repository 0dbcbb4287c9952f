import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { JsonMessage } from '../../src/broker/rabbit-publish-frames.ts';
import { createPublishEncoder } from '../../src/broker/rabbit-publish-frames.ts';

const CHANNEL = 259;
const EXCHANGE = 'test.task.events';
/** What a frame has besides its payload. */
const OVERHEAD = 8;

test.each<[string, JsonMessage[]]>([
  ['no messages', []],
  ['one message', [message('{"a":1}')]],
  ['several messages', [message('{}'), message('[1,2]', 'progress.7'), message('"x"')]],
  ['text beyond ASCII', [message('"Zoë → 猫 😀"', 'task.ö'), message('"plain"')]],
  ['half of a character that takes two', [message('"\ud83d"'), message('"\udc00"')]],
  ['a body and a key of no length', [message('', ''), message('{}')]],
  ['a key as long as a key may be', [message('{}', 'k'.repeat(255))]],
])('%s: the same bytes as those of amqplib', (_what, messages) => {
  expectAsAmqplib(messages, 131_072);
});

test.each([4_096, 131_072])(
  'bodies around %i bytes are cut where amqplib cuts them',
  (frameMax) => {
    const fits = frameMax - OVERHEAD;
    for (const size of [fits - 1, fits, fits + 1, 2 * fits, 2 * fits + 1, 3 * fits - 1]) {
      expectAsAmqplib([message('{}'), message('x'.repeat(size)), message('{}')], frameMax);
      // Three bytes each: some are cut in the middle.
      expectAsAmqplib([message('猫'.repeat(size / 3)), message('{}')], frameMax);
    }
  },
);

test('without a limit for frames a body is in one', () => {
  expectAsAmqplib([message('x'.repeat(1_000_000))], 0xff_ff_ff_ff);
});

test('a routing key that is too long is refused', () => {
  const encode = createPublishEncoder({ channel: 1, exchange: EXCHANGE, frameMax: 4_096 });
  expect(() => encode([message('{}', 'k'.repeat(256))])).toThrow(RangeError);
  expect(() => encode([message('{}', 'ö'.repeat(128))])).toThrow(RangeError);
});

function message(body: string, routingKey = 'task.1.HIGH.NEW'): JsonMessage {
  return { routingKey, body };
}

function expectAsAmqplib(messages: JsonMessage[], frameMax: number): void {
  const encode = createPublishEncoder({ channel: CHANNEL, exchange: EXCHANGE, frameMax });
  const expected = Buffer.concat(messages.map((one) => publishWithAmqplib(one, frameMax)));
  // Not toEqual: it takes seconds to compare megabytes.
  expect(encode(messages).equals(expected)).toBe(true);
}

/** What amqplib writes into its channel's buffer. */
function publishWithAmqplib({ routingKey, body }: JsonMessage, frameMax: number): Buffer {
  const written: Buffer[] = [];
  const connection: Connection = Object.assign(Object.create(amqplib.Connection.prototype), {
    frameMax,
    channels: { [CHANNEL]: { buffer: { write: (piece: Buffer) => written.push(piece) } } },
  });
  connection.sendMessage(
    CHANNEL,
    defs.BasicPublish,
    { exchange: EXCHANGE, routingKey },
    defs.BasicProperties,
    { contentType: 'application/json', deliveryMode: 1 },
    Buffer.from(body),
  );
  return Buffer.concat(written);
}

interface Connection {
  sendMessage(
    channel: number,
    method: number,
    fields: object,
    properties: number,
    values: object,
    content: Buffer,
  ): void;
}

const require = createRequire(import.meta.url);
const lib = join(dirname(require.resolve('amqplib')), 'lib');
const amqplib: { Connection: { prototype: Connection } } = require(join(lib, 'connection.js'));
const defs: { BasicPublish: number; BasicProperties: number } = require(join(lib, 'defs.js'));

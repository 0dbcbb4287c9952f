import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createRabbitBroker } from '../../src/broker/rabbit-broker.ts';
import { createLogLines } from '../support/log-lines.ts';

const require = createRequire(import.meta.url);
const defs: Defs = require(join(dirname(require.resolve('amqplib')), 'lib/defs.js'));

interface Defs {
  encodeMethod(id: number, channel: number, fields: object): Buffer;
  ConnectionStart: number;
  ConnectionTune: number;
  ConnectionOpenOk: number;
  ConnectionClose: number;
}

test.each([
  ['for an error', 504],
  ['since it is going down', 320],
])('a connection that RabbitMQ closes with its welcome, %s, is tried again', async (_why, code) => {
  const server = createServer((socket) => welcomeAndClose(socket, code)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { log, lines } = createLogLines();
  // Who took such a connection for an open one would wait that long for an answer.
  const confirmTimeoutMs = 60_000;
  const broker = createRabbitBroker({ url: `amqp://127.0.0.1:${port}`, log, confirmTimeoutMs });
  onTestFinished(() => broker.close());
  // A publisher and a consumer have a connection each.
  for (let count = 0; count < 6; count += 1) await once(server, 'connection');
  expect(broker.ready).toBe(false);
  expect(lines.all.map(({ level }) => level)).toContain('warn');
});

/** A RabbitMQ that says that it closes the connection in the same packet as that it is open. */
function welcomeAndClose(socket: Socket, code: number) {
  socket.on('error', () => {});
  const close = { replyCode: code, replyText: 'no', classId: 0, methodId: 0 };
  const answers = [
    [frame(defs.ConnectionStart, START)],
    [frame(defs.ConnectionTune, { channelMax: 2_047, frameMax: 131_072, heartbeat: 10 })],
    [frame(defs.ConnectionOpenOk, {}), frame(defs.ConnectionClose, close)],
  ];
  socket.on('data', () => {
    const answer = answers.shift();
    if (answer === undefined) socket.end();
    else socket.write(Buffer.concat(answer));
  });
}

const START = {
  versionMajor: 0,
  versionMinor: 9,
  serverProperties: {},
  mechanisms: Buffer.from('PLAIN AMQPLAIN'),
  locales: Buffer.from('en_US'),
};

function frame(method: number, fields: object): Buffer {
  return defs.encodeMethod(method, 0, { knownHosts: '', ...fields });
}

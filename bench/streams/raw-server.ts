/** A bare `ws` server: what the transport itself takes. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { serveCommands } from './commands.ts';
import { encodeFrame, OPCODES } from './frames.ts';

export type RawServerCommands = typeof commands;

const server = createServer();
const upgrades = new WebSocketServer({ noServer: true });
const sockets: WebSocket[] = [];
const streams: Duplex[] = [];
server.on('upgrade', (request, stream, head) => {
  upgrades.handleUpgrade(request, stream, head, (socket) => {
    sockets.push(socket);
    streams.push(stream);
  });
});
const listening = once(server.listen(0, '127.0.0.1'), 'listening');

const commands = {
  async url() {
    await listening;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('It has no port.');
    return `http://127.0.0.1:${address.port}`;
  },
  /** Each text to each socket, as `ws` does it. */
  async broadcastTexts({ texts }: { texts: readonly string[] }) {
    for (const text of texts) {
      for (const socket of sockets) socket.send(text);
      await nextTurn();
    }
  },
  /** Each text to each socket, as one frame that is made once and written past `ws`. */
  async broadcastFrames({ texts }: { texts: readonly string[] }) {
    for (const text of texts) {
      const frame = encodeFrame(OPCODES.text, Buffer.from(text), { isMasked: false });
      for (const stream of streams) stream.write(frame);
      await nextTurn();
    }
  },
};

serveCommands(commands);

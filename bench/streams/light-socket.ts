import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { createFrameReader, encodeFrame, OPCODES } from './frames.ts';

/** The client's end of a WebSocket that costs next to nothing, so that what is measured is the server. */
export interface LightSocket {
  send(text: string): void;
  /** Reads nothing more from the network, not even pings. */
  pause(): void;
  resume(): void;
  close(): void;
  /** Whether the server has closed it or cut it off, or this end has. */
  readonly isClosed: boolean;
}

/** @param options.onText gets the bytes that hold a message, and from where to where it goes */
export async function openLightSocket(options: {
  url: string;
  protocol?: string;
  onText: (bytes: Buffer, start: number, end: number) => void;
}): Promise<LightSocket> {
  const { url, protocol, onText } = options;
  const asking = request(url, {
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      ...(protocol === undefined ? {} : { 'sec-websocket-protocol': protocol }),
    },
  });
  asking.end();
  const { socket, head } = await new Promise<{ socket: Socket; head: Buffer }>(
    (resolve, reject) => {
      asking.once('upgrade', (_answer, socket, head) => resolve({ socket, head }));
      asking.once('response', ({ statusCode }) => reject(new Error(`It answered ${statusCode}.`)));
      asking.once('error', reject);
    },
  );
  let isClosed = false;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    isClosed = true;
  });

  const write = (opcode: number, payload: Buffer) => {
    if (socket.writable) socket.write(encodeFrame(opcode, payload, { isMasked: true }));
  };
  const read = createFrameReader((opcode, bytes, start, end) => {
    if (opcode === OPCODES.text) onText(bytes, start, end);
    else if (opcode === OPCODES.ping) write(OPCODES.pong, bytes.subarray(start, end));
    else if (opcode === OPCODES.close) socket.end();
  });
  if (head.length > 0) read(head);
  socket.on('data', read);

  return {
    send: (text) => write(OPCODES.text, Buffer.from(text)),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => void socket.destroy(),
    get isClosed() {
      return isClosed;
    },
  };
}

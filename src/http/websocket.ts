import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloseCode, handleProtocols } from 'graphql-ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { RenderedResult } from '../graphql/live-result.ts';
import type { GraphqlServer } from '../graphql/yoga.ts';
import { createGraphqlProtocol } from './graphql-protocol.ts';
import { GRAPHQL_PATH, MAX_REQUEST_BYTES } from './graphql-route.ts';
import { textFrame } from './text-frame.ts';

/** A client that has not answered a ping by the time of the next is gone. */
const PING_INTERVAL_MS = 12_000;
/** A client that takes nothing of what it is sent for this long is gone, which shows within twice the time. */
const SILENCE_TIMEOUT_MS = 60_000;
/** How long clients have to answer the closing handshake. */
const CLOSE_TIMEOUT_MS = 1_000;
const GOING_AWAY = 1001;
/** What is not sent yet of a socket's results; above it they wait where each subscriber's are counted. */
const MAX_BUFFERED_BYTES = 64 * 1024;
/** What a client has not read of its answers; above it nothing more is heard from it. */
const MAX_UNREAD_BYTES = 1024 * 1024;

export interface GraphqlSockets {
  /**
   * Refuses new sockets and closes those that are open with 1001, which tells clients to connect again; first lets the
   * queries and mutations that are under way finish, for `graceMs` at most.
   */
  close(options: { graceMs: number }): Promise<void>;
}

/** Of all upgrades only this one is for us: whoever asks for another is answered over HTTP. */
export function asksForGraphqlSocket({ url, headers }: IncomingMessage): boolean {
  const path = url?.split('?', 1)[0]?.replace(/\/$/, '');
  return path === GRAPHQL_PATH && headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * GraphQL over WebSocket (`graphql-transport-ws`) on the same path as over HTTP.
 * @param options.server upgrades what `asksForGraphqlSocket`
 */
export function serveGraphqlSockets(options: {
  server: Server;
  graphql: GraphqlServer;
  log: Logger;
}): GraphqlSockets {
  const { server, graphql, log } = options;
  const protocol = createGraphqlProtocol(graphql);
  const bytesOf = createEncoding();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_REQUEST_BYTES,
    // A subscription that is completed has left before the next message, which may use its id again, is heard.
    allowSynchronousEvents: false,
    handleProtocols,
  });
  let closing = false;

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
    if (closing) return refuse(socket);
    // What Node gives to those who listen for upgrades is always that.
    const raw = socket as Socket;
    sockets.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, raw));
  }

  function serve(socket: WebSocket, raw: Socket) {
    const stopPinging = keepAlive(socket);
    // Node counts every part of a write that the other side has taken.
    raw.setTimeout(SILENCE_TIMEOUT_MS, () => socket.terminate());

    /** Who asks and asks and does not read the answers would have them all kept here. */
    function listenOnceRead() {
      if (socket.isPaused || raw.writableLength <= MAX_UNREAD_BYTES) return;
      socket.pause();
      raw.once('drain', () => socket.resume());
    }

    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        // Resolves when the bytes have left: a slow reader slows down its own stream and nothing else.
        send: (text) =>
          new Promise((resolve) => {
            socket.send(text, () => resolve());
            listenOnceRead();
          }),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) => {
          socket.on('message', (data) => {
            handle(String(data)).catch((error: unknown) => {
              socket.close(CloseCode.InternalServerError, graphql.maskError(error).message);
            });
          });
        },
      },
      {
        // Past `ws`, which would encode what is the same for all anew for each of them. It writes whole frames as well, and
        // holds none back where nothing is compressed, so that the two may take turns.
        push(head, result, onRoom) {
          if (socket.readyState !== socket.OPEN) return false;
          const isFull = raw.writableLength > MAX_BUFFERED_BYTES;
          raw.write(textFrame(head, bytesOf(result), TAIL), isFull ? onRoom : undefined);
          return !isFull;
        },
      },
    );
    // A frame that is malformed or too large. `ws` then closes the socket with the code that fits.
    socket.on('error', (error) => log.debug({ err: error }, 'a WebSocket client broke the rules'));
    socket.once('close', (code, reason) => {
      stopPinging();
      closed(code, String(reason)).catch(graphql.maskError);
    });
  }

  server.on('upgrade', onUpgrade);
  return {
    async close({ graceMs }) {
      closing = true;
      await Promise.race([protocol.answered(), sleep(graceMs, undefined, { ref: false })]);
      const closed = new Promise((resolve) => sockets.close(resolve));
      for (const socket of sockets.clients) socket.close(GOING_AWAY, 'Going away');
      const late = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, CLOSE_TIMEOUT_MS);
      await closed;
      clearTimeout(late);
    },
  };
}

const TAIL = Buffer.from('}');

/** A result as bytes, made once for all who get it. */
function createEncoding(): (result: RenderedResult) => Buffer {
  const encoded = new WeakMap<RenderedResult, Buffer>();
  return (result) => {
    const bytes = encoded.get(result) ?? Buffer.from(result.json);
    encoded.set(result, bytes);
    return bytes;
  };
}

function refuse(socket: Duplex): void {
  // The client may be gone already; that is no failure.
  socket.on('error', () => socket.destroy());
  socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

function keepAlive(socket: WebSocket): () => void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const interval = setInterval(() => {
    // Nobody would hear its answer.
    if (socket.isPaused) {
      answered = true;
      return;
    }
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, PING_INTERVAL_MS);
  return () => clearInterval(interval);
}

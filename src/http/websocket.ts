import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, handleProtocols } from 'graphql-ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { GraphqlServer } from '../graphql/yoga.ts';
import { createGraphqlProtocol } from './graphql-protocol.ts';
import { GRAPHQL_PATH, MAX_REQUEST_BYTES } from './graphql-route.ts';

/** A client that has not answered a ping by the time of the next is gone. */
const PING_INTERVAL_MS = 12_000;
/** How long clients have to answer the closing handshake. */
const CLOSE_TIMEOUT_MS = 1_000;
const GOING_AWAY = 1001;

export interface GraphqlSockets {
  /** Refuses new sockets and closes those that are open with 1001, which tells clients to connect again. */
  close(): Promise<void>;
}

/** GraphQL over WebSocket (`graphql-transport-ws`) on the same path as over HTTP. Other upgrades are refused. */
export function serveGraphqlSockets(options: {
  server: Server;
  graphql: GraphqlServer;
  log: Logger;
}): GraphqlSockets {
  const { server, graphql, log } = options;
  const protocol = createGraphqlProtocol(graphql);
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_REQUEST_BYTES,
    handleProtocols,
  });
  let closing = false;

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
    const path = request.url?.split('?', 1)[0];
    if (closing) return refuse(socket, '503 Service Unavailable');
    if (path !== GRAPHQL_PATH) return refuse(socket, '404 Not Found');
    sockets.handleUpgrade(request, socket, head, serve);
  }

  function serve(socket: WebSocket) {
    const stopPinging = keepAlive(socket);
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        // Resolves when the bytes have left: a slow reader slows down its own stream and nothing else.
        send: (text) => new Promise((resolve) => socket.send(text, () => resolve())),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) => {
          socket.on('message', (data) => {
            handle(String(data)).catch((error: unknown) => {
              socket.close(CloseCode.InternalServerError, graphql.maskError(error).message);
            });
          });
        },
      },
      undefined,
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
    async close() {
      closing = true;
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

function refuse(socket: Duplex, status: string): void {
  // The client may be gone already; that is no failure.
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function keepAlive(socket: WebSocket): () => void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const interval = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, PING_INTERVAL_MS);
  return () => clearInterval(interval);
}

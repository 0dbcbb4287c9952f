import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';

/** A WebSocket for GraphQL that speaks only as the test says. */
export async function openSocket(url: string, options: ClientOptions = {}): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', options);
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

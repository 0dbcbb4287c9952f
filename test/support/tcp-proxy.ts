import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** How many clients are connected now. */
  readonly connections: number;
  /** Breaks every connection that there is (RST). New ones are accepted. */
  cut(): void;
  /** A dead link: nothing passes any more, on present and future connections, and nobody is told. */
  stall(): void;
  /** Ends `stall`; what was held back passes now. */
  resume(): void;
  /** Speaks to every client as if it were the server. Only while stalled, lest it lands inside what the server says. */
  inject(bytes: Uint8Array): void;
  /** Cuts everything and refuses new connections, as a stopped server does. */
  close(): Promise<void>;
}

/** Stands between a client and a server on this machine, and misbehaves on demand. `port` 0 means any free one. */
export async function startTcpProxy({
  targetPort,
  targetHost = '127.0.0.1',
  port = 0,
}: {
  targetPort: number;
  targetHost?: string;
  port?: number;
}): Promise<TcpProxy> {
  const pairs = new Set<{ client: Socket; server: Socket }>();
  let stalled = false;

  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: targetPort, host: targetHost, noDelay: true });
    const pair = { client, server };
    pairs.add(pair);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        other.destroy();
        pairs.delete(pair);
      });
    }
    if (!stalled) join(pair);
  });
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  const { port: actualPort } = listener.address() as AddressInfo;

  function cut(): void {
    for (const { client, server } of pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  return {
    port: actualPort,
    get connections() {
      return pairs.size;
    },
    cut,
    stall() {
      stalled = true;
      for (const { client, server } of pairs) {
        client.unpipe(server);
        server.unpipe(client);
      }
    },
    resume() {
      stalled = false;
      for (const pair of pairs) join(pair);
    },
    inject(bytes) {
      for (const { client } of pairs) client.write(bytes);
    },
    async close() {
      listener.close();
      cut();
      if (listener.listening) await once(listener, 'close');
    },
  };
}

function join({ client, server }: { client: Socket; server: Socket }): void {
  client.pipe(server);
  server.pipe(client);
}

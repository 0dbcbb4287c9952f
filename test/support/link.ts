import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** The way from one process to one server, which can be bad. */
export interface Link {
  /** The server's URL for who takes this way. */
  readonly url: string;
  /** Breaks the connections that there are. */
  cut(): void;
  /** Breaks the connections and refuses new ones, until `heal`. */
  refuse(): Promise<void>;
  /** Lets nothing pass and tells nobody, until `heal`. */
  stall(): void;
  heal(): Promise<void>;
  close(): Promise<void>;
}

export async function openLink(serverUrl: string): Promise<Link> {
  const server = new URL(serverUrl);
  const target = {
    targetHost: server.hostname,
    targetPort: Number(server.port || DEFAULT_PORTS[server.protocol]),
  };
  const first = await startTcpProxy(target);
  const { port } = first;
  server.hostname = '127.0.0.1';
  server.port = String(port);
  // A promise, so that two who heal it at the same time open one.
  let proxy: Promise<TcpProxy> | undefined = Promise.resolve(first);

  async function refuse(): Promise<void> {
    const open = await proxy;
    proxy = undefined;
    await open?.close();
  }

  return {
    url: server.href,
    cut: () => void proxy?.then((open) => open.cut()),
    refuse,
    stall: () => void proxy?.then((open) => open.stall()),
    async heal() {
      proxy ??= startTcpProxy({ ...target, port });
      (await proxy).resume();
    },
    close: refuse,
  };
}

const DEFAULT_PORTS: Record<string, number> = { 'amqp:': 5672, 'postgresql:': 5432 };

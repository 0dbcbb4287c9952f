import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

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
  let proxy: TcpProxy | undefined = await startTcpProxy(target);
  const { port } = proxy;
  server.hostname = '127.0.0.1';
  server.port = String(port);

  async function refuse(): Promise<void> {
    const open = proxy;
    proxy = undefined;
    await open?.close();
  }

  return {
    url: server.href,
    cut: () => proxy?.cut(),
    refuse,
    stall: () => proxy?.stall(),
    async heal() {
      proxy ??= await startTcpProxy({ ...target, port });
      proxy.resume();
    },
    close: refuse,
  };
}

const DEFAULT_PORTS: Record<string, number> = { 'amqp:': 5672, 'postgresql:': 5432 };

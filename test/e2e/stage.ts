import { expect, inject, onTestFinished, vi } from 'vitest';
import { useRabbitNamespace } from '../support/rabbit.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { type Ledger, openLedger } from './ledger.ts';

/** What the processes of one test share: a database and a namespace in RabbitMQ of their own. */
export interface Stage {
  /** For each process. */
  readonly env: { DATABASE_URL: string; RABBITMQ_URL: string };
  readonly ledger: Ledger;
  /** Resolves when so many workers take tasks from each queue. */
  untilTaken(workers: number): Promise<void>;
}

/** Call it before the processes are started: what is released last was opened first. */
export async function setStage(): Promise<Stage> {
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  const ledger = openLedger(url);
  const { namespace, names, admin } = await useRabbitNamespace();
  const rabbit = new URL(rabbitmqUrl());
  rabbit.searchParams.set('namespace', namespace);
  const env = { DATABASE_URL: url, RABBITMQ_URL: rabbit.href };

  async function untilTaken(workers: number): Promise<void> {
    const channel = await admin();
    const queues = Object.values(names.taskQueue);
    await vi.waitFor(
      async () => {
        const states = await Promise.all(queues.map((queue) => channel.checkQueue(queue)));
        expect(states.map(({ consumerCount }) => consumerCount)).toEqual(queues.map(() => workers));
      },
      { timeout: 15_000, interval: 20 },
    );
  }

  return { env, ledger, untilTaken };
}

/** A server that can go away, as those see it who reach it through `url`. */
export interface Fallible {
  readonly url: string;
  /** Breaks all connections and refuses new ones. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /** Says nothing more, and does not say so. */
  fallSilent(): void;
  /** Ends the silence. */
  speak(): void;
}

/** Puts a proxy in front of the server of `url`. */
export async function makeFallible(url: string): Promise<Fallible> {
  const direct = new URL(url);
  const targetHost = direct.hostname;
  const targetPort = Number(direct.port || DEFAULT_PORTS[direct.protocol]);
  let proxy: TcpProxy = await startTcpProxy({ targetHost, targetPort });
  onTestFinished(() => proxy.close());
  const { port } = proxy;
  const proxied = new URL(url);
  proxied.hostname = '127.0.0.1';
  proxied.port = String(port);
  return {
    url: proxied.href,
    goAway: () => proxy.close(),
    fallSilent: () => proxy.stall(),
    speak: () => proxy.resume(),
    async comeBack() {
      proxy = await startTcpProxy({ targetHost, targetPort, port });
    },
  };
}

const DEFAULT_PORTS: Record<string, number> = { 'amqp:': 5672, 'postgresql:': 5432 };

function rabbitmqUrl(): string {
  const url = inject('services').rabbitmqUrl;
  if (url === undefined) throw new Error('No RabbitMQ. Start one with "make api-only".');
  return url;
}

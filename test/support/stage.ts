import { expect, inject, onTestFinished, vi } from 'vitest';
import { type Ledger, openLedger } from './ledger.ts';
import { type Link, openLink } from './link.ts';
import { useRabbitNamespace } from './rabbit.ts';
import { createTestDatabase } from './test-database.ts';

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
    const queues = Object.values(names.taskQueue);
    await vi.waitFor(
      async () => {
        // To ask for a queue that somebody has deleted, and nobody has declared again yet, ends the channel.
        const channel = await admin();
        const states = await Promise.all(queues.map((queue) => channel.checkQueue(queue)));
        await channel.close();
        expect(states.map(({ consumerCount }) => consumerCount)).toEqual(queues.map(() => workers));
      },
      { timeout: 15_000, interval: 20 },
    );
  }

  return { env, ledger, untilTaken };
}

/** The way to the server of `url`, which goes away with the test. */
export async function setLink(url: string): Promise<Link> {
  const link = await openLink(url);
  onTestFinished(link.close);
  return link;
}

function rabbitmqUrl(): string {
  const url = inject('services').rabbitmqUrl;
  if (url === undefined) throw new Error('No RabbitMQ. Start one with "make api-only".');
  return url;
}

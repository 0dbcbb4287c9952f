import { type Channel, connect } from 'amqplib';
import { expect, onTestFinished, vi } from 'vitest';
import { type Ledger, openLedger } from './ledger.ts';
import { type RabbitNode, type RabbitSettings, startRabbitNode } from './rabbit-node.ts';
import { createTestDatabase } from './test-database.ts';

/** What the processes of one test share: a database and a whole RabbitMQ of their own. */
export interface NodeStage {
  /** For each process. */
  readonly env: { DATABASE_URL: string; RABBITMQ_URL: string };
  readonly ledger: Ledger;
  readonly node: RabbitNode;
}

/** Call it before the processes are started: what is released last was opened first. */
export async function setNodeStage(settings: RabbitSettings = {}): Promise<NodeStage> {
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  const ledger = openLedger(url);
  const node = await startRabbitNode(settings);
  return { env: { DATABASE_URL: url, RABBITMQ_URL: node.url }, ledger, node };
}

/** A way in past the service, for as long as the node lives. */
export async function openChannel({ url }: RabbitNode): Promise<Channel> {
  const connection = await connect(url);
  // The node may go away, or the test ask for what is not there.
  connection.on('error', () => {});
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  return channel;
}

/** Waits until all tasks have completed, `count` of them. */
export async function untilCompleted(
  ledger: Ledger,
  count: number,
  timeout = 60_000,
): Promise<void> {
  await vi.waitFor(async () => expect(await ledger.count('COMPLETED')).toBe(count), {
    timeout,
    interval: 50,
  });
}

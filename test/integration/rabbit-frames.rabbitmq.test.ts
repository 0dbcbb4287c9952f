import { Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { eventPattern } from '../../src/broker/messages.ts';
import { createRabbitBroker } from '../../src/broker/rabbit-broker.ts';
import type { TaskChange } from '../../src/domain/task.ts';
import { createInbox } from '../support/inbox.ts';
import { createLogLines } from '../support/log-lines.ts';
import { RABBIT_URL, useRabbitNamespace } from '../support/rabbit.ts';
import { makeTaskChange } from '../support/task-changes.ts';

test('what is published in one turn leaves in few writes, and all of it arrives', async () => {
  const { broker, heard } = await openAndListen();
  const changes = Array.from({ length: 100 }, () => makeTaskChange());
  const writes = [
    vi.spyOn(Socket.prototype, '_write'),
    vi.spyOn(Socket.prototype as Required<Socket>, '_writev'),
  ];
  onTestFinished(() => writes.forEach((write) => void write.mockRestore()));
  broker.publishEvents(changes);
  const arrived = await heard.takeMany(changes.length);
  expect(arrived).toEqual(changes);
  const count = writes.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThan(20);
});

test('what fits into no frame arrives whole, in order with what comes before and after', async () => {
  const { broker, heard } = await openAndListen();
  // RabbitMQ's frames have 128 KiB.
  const descriptions = ['before', 'x'.repeat(131_072), 'Zoë → 猫 '.repeat(30_000), 'after'];
  const changes = descriptions.map((description) => makeTaskChange({ task: { description } }));
  broker.publishEvents(changes);
  const arrived = await heard.takeMany(changes.length);
  expect(arrived).toEqual(changes);
});

async function openAndListen() {
  const { namespace } = await useRabbitNamespace();
  const broker = createRabbitBroker({ url: RABBIT_URL, namespace, log: createLogLines().log });
  onTestFinished(() => broker.close());
  await new Promise<void>((resolve) => broker.onReady(resolve));
  const heard = createInbox<TaskChange>();
  const stream = await broker.openEventStream({
    onChange: heard.put,
    onProgress() {},
    onGap() {},
  });
  await stream.bind(eventPattern());
  return { broker, heard };
}

import { Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { eventPattern } from '../../src/broker/messages.ts';
import { createRabbitBroker } from '../../src/broker/rabbit-broker.ts';
import { createInbox } from '../support/inbox.ts';
import { createLogLines } from '../support/log-lines.ts';
import { RABBIT_URL, useRabbitNamespace } from '../support/rabbit.ts';
import { makeTaskChange } from '../support/task-changes.ts';

test('what is published in one turn leaves in few writes, and all of it arrives', async () => {
  const { namespace } = await useRabbitNamespace();
  const broker = createRabbitBroker({ url: RABBIT_URL, namespace, log: createLogLines().log });
  onTestFinished(() => broker.close());
  await new Promise<void>((resolve) => broker.onReady(resolve));
  const heard = createInbox<string>();
  const stream = await broker.openEventStream({
    onChange: ({ event }) => heard.put(event.taskId),
    onProgress() {},
    onGap() {},
  });
  await stream.bind(eventPattern());

  const changes = Array.from({ length: 100 }, () => makeTaskChange());
  const writes = [
    vi.spyOn(Socket.prototype, '_write'),
    vi.spyOn(Socket.prototype as Required<Socket>, '_writev'),
  ];
  onTestFinished(() => writes.forEach((write) => void write.mockRestore()));
  broker.publishEvents(changes);
  const arrived = await heard.takeMany(changes.length);
  expect(arrived).toEqual(changes.map(({ event }) => event.taskId));
  const count = writes.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThan(20);
});

import { expect, test, vi } from 'vitest';
import type { TaskFeed } from '../../src/tasks/task-feed.ts';
import { startGraphqlApi } from '../support/graphql-api.ts';
import { createInbox } from '../support/inbox.ts';
import { openSocket } from '../support/open-socket.ts';
import { startTestService } from '../support/test-service.ts';

const SUBSCRIBE = {
  id: '1',
  type: 'subscribe',
  payload: { query: 'subscription { taskStatusChanged { status } }' },
};
const QUERY = { id: '1', type: 'subscribe', payload: { query: '{ __typename }' } };
const COMPLETE = { id: '1', type: 'complete' };

test('an id that is used again before its first subscription has begun means the second one', async () => {
  const late = Promise.withResolvers<void>();
  const { begun, say, types, createTask, ping } = await connect((number) =>
    number === 1 ? late.promise : undefined,
  );
  say(SUBSCRIBE);
  say(COMPLETE);
  say(SUBSCRIBE);
  expect(await begun.take()).toBe(2);
  late.resolve();
  expect(await begun.take()).toBe(1);
  await createTask();
  await vi.waitFor(() => expect(types().length).toBeGreaterThan(2));
  say(COMPLETE);
  await ping();
  await createTask();
  await ping();
  expect(types()).toEqual(['connection_ack', 'next', 'next', 'pong', 'pong']);
});

test('one that is used again in the packet that completes it is its new subscription’s', async () => {
  const { begun, say, inOnePacket, types, createTask } = await connect();
  say(SUBSCRIBE);
  await begun.take();
  inOnePacket(COMPLETE, SUBSCRIBE);
  await begun.take();
  await createTask();
  await vi.waitFor(() => expect(types()).toEqual(['connection_ack', 'next', 'next']));
});

test('one that is used again by a query is the query’s', async () => {
  const late = Promise.withResolvers<void>();
  const { begun, say, types, createTask, ping } = await connect(() => late.promise);
  say(SUBSCRIBE);
  say(COMPLETE);
  say(QUERY);
  await vi.waitFor(() => expect(types()).toEqual(['connection_ack', 'next', 'complete']));
  late.resolve();
  await begun.take();
  await createTask();
  await ping();
  await createTask();
  await ping();
  expect(types()).toEqual(['connection_ack', 'next', 'complete', 'pong', 'pong']);
});

/** @param before what each subscription, by its number, waits for before it begins */
async function connect(before: (number: number) => Promise<void> | undefined = () => undefined) {
  const backend = await startTestService();
  const begun = createInbox<number>();
  let opened = 0;
  const feed: TaskFeed = {
    ...backend.feed,
    async watchTasks(filter, after) {
      opened += 1;
      const number = opened;
      await before(number);
      const stream = await backend.feed.watchTasks(filter, after);
      begun.put(number);
      return stream;
    },
  };
  const api = await startGraphqlApi({ service: backend.service, feed });
  const socket = await openSocket(api.url);
  const heard: { type: string }[] = [];
  socket.on('message', (data) => heard.push(JSON.parse(String(data))));
  const types = () => heard.map(({ type }) => type);
  const say = (message: object) => socket.send(JSON.stringify(message));
  say({ type: 'connection_init' });
  await vi.waitFor(() => expect(types()).toEqual(['connection_ack']));

  return {
    /** The numbers of the subscriptions that have begun. */
    begun,
    types,
    say,
    createTask: () => backend.create(),
    inOnePacket(...messages: object[]) {
      const raw = (socket as unknown as { _socket: { cork(): void; uncork(): void } })._socket;
      raw.cork();
      for (const message of messages) say(message);
      raw.uncork();
    },
    /** What was told before has arrived when this resolves. */
    async ping() {
      const pongs = () => types().filter((type) => type === 'pong').length;
      const before = pongs();
      say({ type: 'ping' });
      await vi.waitFor(() => expect(pongs()).toBe(before + 1));
    },
  };
}

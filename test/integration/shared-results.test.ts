import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { serviceUnavailable } from '../../src/domain/errors.ts';
import type { Task } from '../../src/domain/task.ts';
import { createChangeQueue } from '../../src/tasks/change-queue.ts';
import type { StreamedChange } from '../../src/tasks/cursor.ts';
import type { Queue } from '../../src/tasks/queue.ts';
import { createFakeFeed } from '../support/fake-feed.ts';
import { startGraphqlApi } from '../support/graphql-api.ts';
import { createInbox } from '../support/inbox.ts';
import { makeTaskChange } from '../support/task-changes.ts';
import { startTestService } from '../support/test-service.ts';

const WATCH_LARGE =
  'subscription ($id: ID) { taskStatusChanged(id: $id) { version task { payload } } }';
const IDS = ['01890000-0000-7000-8000-000000000001', '01890000-0000-7000-8000-000000000002'];

test('subscribers of one document share an execution, whatever they subscribed to and by whatever transport', async () => {
  const { push, api, executions } = await startCountingApi();
  const socket = await connect(api.url);
  const events = [
    socket.subscribe('1', { query: WATCH_LARGE, variables: { id: IDS[0] } }),
    socket.subscribe('2', { query: WATCH_LARGE, variables: { id: IDS[1] } }),
    socket.subscribe('3', { query: WATCH_LARGE }),
  ];
  const stream = await api.post(JSON.stringify({ query: WATCH_LARGE }), {
    accept: 'text/event-stream',
  });
  await push(4);
  expect(await Promise.all(events)).toEqual(
    Array(3).fill({ version: 5, task: { payload: 'read 1' } }),
  );
  await expect(readSome(stream, 'read 1')).resolves.toContain('"version":5');
  expect(executions()).toBe(1);
});

test('subscribers whose variables matter to the result share it with those who gave the same', async () => {
  const { push, api, executions } = await startCountingApi();
  const socket = await connect(api.url);
  const query = `subscription ($wanted: Boolean!) {
    taskStatusChanged { version ...More @include(if: $wanted) }
  }
  fragment More on TaskEvent { task { payload } }`;
  const ask = (id: string, wanted: boolean) =>
    socket.subscribe(id, { query, variables: { wanted } });
  const events = [ask('1', true), ask('2', false), ask('3', true), ask('4', false)];
  await push(4);
  const [whole, bare] = [{ version: 5, task: { payload: 'read 1' } }, { version: 5 }];
  expect(await Promise.all(events)).toEqual([whole, bare, whole, bare]);
  expect(executions()).toBe(1);
});

test('a variable that is null is not shared with one that is left out and has its default', async () => {
  const { push, api } = await startCountingApi();
  const query =
    'subscription ($id: Boolean = true) { taskStatusChanged { version @include(if: $id) } }';
  const body = JSON.stringify({ query, variables: { id: null } });
  await api.post(body, { accept: 'text/event-stream' });
  const event = (await connect(api.url)).subscribe('1', { query });
  await push(2);
  expect(await event).toEqual({ version: 5 });
});

test('a change that cannot be read now ends its streams, so that they resume before it, and is not kept', async () => {
  const { push, api, failReads, logs } = await startCountingApi();
  const socket = await connect(api.url);
  const reads = failReads();
  const events = ['1', '2'].map((id) => socket.subscribe(id, { query: WATCH_LARGE }));
  const stream = await api.post(JSON.stringify({ query: WATCH_LARGE }), {
    accept: 'text/event-stream',
  });
  const away = [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }];
  const refused = events.map((event) => expect(event).rejects.toMatchObject(away));
  const change = await push(3);
  await Promise.all(refused);
  await expect(readSome(stream, 'event: complete')).resolves.toContain('SERVICE_UNAVAILABLE');
  reads.succeed();
  const resumed = socket.subscribe('3', { query: WATCH_LARGE });
  await push(1, change);
  expect(await resumed).toEqual({ version: 5, task: { payload: 'read 2' } });
  // Whoever is on call reads of it once.
  expect(logs.lines.all.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

test('subscriptions that were given the same id one after the other all end with their connection', async () => {
  const { api, opened, holdOpening } = await startCountingApi();
  const socket = await connect(api.url);
  const opening = holdOpening();
  // Each but the last is given up before it has started, and starts all the same.
  for (let n = 0; n < 3; n += 1) {
    void socket.subscribe('1', { query: WATCH_LARGE }).catch(() => {});
    if (n < 2) socket.unsubscribe('1');
  }
  await opening.asked(3);
  opening.goOn();
  const queues = await opened(3);
  socket.terminate();
  await expect.poll(() => queues.map(({ closed }) => closed)).toEqual([true, true, true]);
});

test('a client that does not read its answers is not listened to until it does', async () => {
  const { api } = await startCountingApi();
  const socket = await connect(api.url);
  const [count, payload] = [100, { text: 'x'.repeat(900_000) }];
  socket.pause();
  let sent = 0;
  void (async () => {
    for (; sent < count; sent += 1) await socket.ping(payload);
  })();
  // What is on its way meanwhile is much less than half of it.
  expect(await settled(() => sent)).toBeLessThan(count / 2);
  const answers = socket.pongs(count);
  socket.resume();
  expect(await answers).toBe(count);
}, 60_000);

test('a connection may have a thousand subscriptions, and is told so at the next', async () => {
  const { api } = await startCountingApi();
  const socket = await connect(api.url);
  for (let n = 0; n < 1_000; n += 1) {
    void socket.subscribe(String(n), { query: WATCH_LARGE }).catch(() => {});
  }
  await expect(socket.subscribe('one more', { query: WATCH_LARGE })).rejects.toMatchObject([
    { extensions: { code: 'TOO_MANY_SUBSCRIPTIONS' } },
  ]);
  socket.unsubscribe('7');
  const refused = socket.subscribe('7 again', { query: 'subscription { nonsense }' });
  await expect(refused).rejects.toMatchObject([{ message: expect.stringContaining('nonsense') }]);
});

/** An API whose every execution of a change reads its payload, and is counted by that. */
async function startCountingApi() {
  const queues = createInbox<Queue<StreamedChange>>();
  let reads = 0;

  let gate = Promise.resolve();
  const asked = createInbox<void>();

  async function open() {
    asked.put();
    await gate;
    const queue = createChangeQueue(() => undefined);
    queues.put(queue);
    return queue.stream;
  }

  let isAway = false;

  async function whole(task: Task): Promise<Task> {
    reads += 1;
    if (isAway) throw serviceUnavailable('The database', new Error('cut off'));
    return { ...task, payload: `read ${reads}` };
  }

  const { service } = await startTestService();
  const { feed } = createFakeFeed();
  const api = await startGraphqlApi({
    feed: { ...feed, watchTask: open, watchTasks: open },
    service: { ...service, whole },
  });
  return {
    api,
    logs: api.logs,
    /** One change to all streams, once there are so many. */
    async push(streams: number, change: StreamedChange = makeTaskChange()) {
      for (const queue of await queues.takeMany(streams)) queue.push(change);
      return change;
    },
    opened: (streams: number) => queues.takeMany(streams),
    executions: () => reads,
    holdOpening() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return { asked: (streams: number) => asked.takeMany(streams), goOn: resolve };
    },
    failReads() {
      isAway = true;
      return {
        succeed() {
          isAway = false;
        },
      };
    },
  };
}

/** A client that speaks the protocol by hand. */
async function connect(url: string) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init' }));
  await once(socket, 'message');
  const waiting = new Map<string, PromiseWithResolvers<unknown>>();
  const pongs = createInbox<object>();
  socket.on('message', (data) => {
    const { id, type, payload } = JSON.parse(String(data));
    if (type === 'pong') return void pongs.put(payload);
    if (type === 'error') waiting.get(id)?.reject(payload);
    else waiting.get(id)?.resolve(payload.data.taskStatusChanged);
  });
  return {
    /** Resolves to the first event. */
    subscribe(id: string, payload: object) {
      const first = Promise.withResolvers<unknown>();
      waiting.set(id, first);
      socket.send(JSON.stringify({ id, type: 'subscribe', payload }));
      return first.promise;
    },
    unsubscribe: (id: string) => socket.send(JSON.stringify({ id, type: 'complete' })),
    /** As the protocol has it, which answers with the same payload. */
    ping(payload: object): Promise<void> {
      const text = JSON.stringify({ type: 'ping', payload });
      return new Promise((resolve) => socket.send(text, () => resolve()));
    },
    /** Resolves to so many once they are there. */
    pongs: async (count: number) => (await pongs.takeMany(count)).length,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    terminate: () => socket.terminate(),
  };
}

/** A count once it stays as it is for a while. */
async function settled(count: () => number): Promise<number> {
  for (let before = -1; before !== count(); ) {
    before = count();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  return count();
}

async function readSome({ body }: Response, text: string): Promise<string> {
  let read = '';
  for await (const chunk of body ?? []) {
    read += Buffer.from(chunk).toString();
    if (read.includes(text)) return read;
  }
  throw new Error(`No ${text} in ${read}`);
}

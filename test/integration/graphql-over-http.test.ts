import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { serverAudits } from 'graphql-http';
import { createClient as createSseClient } from 'graphql-sse';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { AppError } from '../../src/domain/errors.ts';
import { createFakeFeed } from '../support/fake-feed.ts';
import { startGraphqlApi } from '../support/graphql-api.ts';
import { openSocket } from '../support/open-socket.ts';
import { makeTaskChange } from '../support/task-changes.ts';
import { startTestService } from '../support/test-service.ts';

const WATCH =
  'subscription ($id: ID, $after: String) { taskStatusChanged(id: $id, after: $after) { cursor status task { id title } } }';

test('the server passes every audit of the GraphQL-over-HTTP specification', async () => {
  const { url } = await startGraphqlApi();
  const failed: string[] = [];
  const passed = { MUST: 0, SHOULD: 0, MAY: 0 };
  for (const audit of serverAudits({ url, fetchFn: fetch })) {
    const result = await audit.fn();
    const level = audit.name.startsWith('MUST')
      ? 'MUST'
      : audit.name.startsWith('SHOULD')
        ? 'SHOULD'
        : 'MAY';
    if (result.status === 'ok') passed[level] += 1;
    else failed.push(`${audit.id} ${audit.name}`);
  }
  process.stdout.write(`GraphQL over HTTP: ${JSON.stringify(passed)} passed\n`);
  expect(failed).toEqual([]);
  expect(passed.MUST).toBeGreaterThan(0);
});

test('a page of GraphiQL holds the example operations and loads nothing from elsewhere', async () => {
  const { url } = await startGraphqlApi();
  const response = await fetch(url, { headers: { accept: 'text/html' } });
  const page = await response.text();
  expect(page).toContain('<title>async-task-manager</title>');
  expect(page).toContain('subscription Watch');
  expect(page).not.toMatch(/<(script|link|img)[^>]+(src|href)="(https?:)?\/\//);
});

test('any origin may call, without credentials', async () => {
  const { url } = await startGraphqlApi();
  const headers = {
    origin: 'https://app.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'content-type',
  };
  const response = await fetch(url, { method: 'OPTIONS', headers });
  expect(response.status).toBe(204);
  expect(response.headers.get('access-control-allow-origin')).toBe('https://app.example');
  expect(response.headers.get('access-control-allow-headers')).toBe('content-type');
  expect(response.headers.get('access-control-allow-credentials')).toBeNull();
});

test('who offers another protocol is answered over HTTP', async () => {
  const { url } = await startGraphqlApi();
  const request = httpRequest(url, {
    method: 'POST',
    headers: { connection: 'Upgrade', upgrade: 'h2c', 'content-type': 'application/json' },
  });
  request.end('{"query":"{ __typename }"}');
  const [response]: IncomingMessage[] = await once(request, 'response');
  expect(response?.statusCode).toBe(200);
  response?.resume();
});

test('a page of another origin may read why it is refused', async () => {
  const { post } = await startGraphqlApi();
  const response = await post('x'.repeat(1024 * 1024 + 1), { origin: 'https://app.example' });
  expect(response.status).toBe(413);
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
});

test('a WebSocket client follows a task to its end', async () => {
  const api = await startGraphqlApi();
  await api.startWorker();
  const { id } = await api.create({ payload: { durationMs: 10 } });
  const events = await collect(api.openClient().iterate({ query: WATCH, variables: { id } }));
  expect(events.at(-1)?.status).toBe('COMPLETED');
});

test('a client of server-sent events follows a task to its end, and resumes', async () => {
  const api = await startGraphqlApi();
  await api.startWorker();
  const { id } = await api.create({ payload: { durationMs: 10 } });
  const client = createSseClient({ url: api.url, retryAttempts: 0 });
  const follow = (after?: string) => {
    return collect(client.iterate({ query: WATCH, variables: { id, after } }));
  };
  const events = await follow();
  expect(events.at(-1)?.status).toBe('COMPLETED');
  expect(await follow(events.at(-1)?.cursor)).toEqual([]);
  expect((await follow(events[0]?.cursor)).map(({ cursor }) => cursor)).toEqual(
    events.slice(1).map(({ cursor }) => cursor),
  );
});

test('a live event is answered without reading the database', async () => {
  const { feed, push } = createFakeFeed();
  const api = await startGraphqlApi({ feed });
  const events = api.openClient().iterate({ query: WATCH });
  const first = events.next();
  const change = makeTaskChange();
  push(change);
  await api.database.close();
  const { value } = await first;
  expect(value.data.taskStatusChanged.task).toEqual({
    id: change.task.id,
    title: change.task.title,
  });
});

test('the stream is released when a WebSocket client unsubscribes, and when it is cut off', async () => {
  const { feed, push, released } = createFakeFeed();
  const api = await startGraphqlApi({ feed });
  const events = api.openClient().iterate({ query: WATCH });
  push(makeTaskChange());
  await events.next();
  await events.return?.();
  await released();

  const socket = await openSocket(api.url);
  socket.send(JSON.stringify({ type: 'connection_init' }));
  await once(socket, 'message');
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: WATCH } }));
  push(makeTaskChange());
  await once(socket, 'message');
  socket.terminate();
  await released();
});

test('a WebSocket client that does not answer is cut off, and its stream released', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const { feed, opened, released } = createFakeFeed();
  const api = await startGraphqlApi({ feed });
  const [dead, alive] = [await openSocket(api.url, { autoPong: false }), await openSocket(api.url)];
  dead.send(JSON.stringify({ type: 'connection_init' }));
  await once(dead, 'message');
  dead.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: WATCH } }));
  await opened.take();
  vi.advanceTimersByTime(12_000);
  await Promise.all([once(dead, 'ping'), once(alive, 'ping')]);
  // The answer of the living one, and then one more of its messages, have arrived.
  alive.send(JSON.stringify({ type: 'connection_init' }));
  await once(alive, 'message');
  vi.advanceTimersByTime(12_000);
  await once(dead, 'close');
  await released();
  expect(alive.readyState).toBe(WebSocket.OPEN);
});

test('the stream is released when a client of server-sent events leaves while nothing happens', async () => {
  const { feed, push, released } = createFakeFeed();
  const { url } = await startGraphqlApi({ feed });
  const leaving = new AbortController();
  const body = JSON.stringify({ query: WATCH });
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
  const response = await fetch(url, { method: 'POST', headers, body, signal: leaving.signal });
  push(makeTaskChange());
  await readUntil(response, 'event: next');
  leaving.abort();
  await released();
});

test('a subscription that may not be answered as a stream is refused, and released', async () => {
  const { feed, released } = createFakeFeed();
  const { post } = await startGraphqlApi({ feed });
  const response = await post(JSON.stringify({ query: WATCH }), { accept: 'application/json' });
  expect(response.status).toBe(406);
  expect(await response.text()).toContain('text/event-stream');
  await released();
});

test('a stream that ends with an error tells its code, over both transports', async () => {
  const { feed, fail } = createFakeFeed();
  const api = await startGraphqlApi({ feed });
  const lagged = new AppError('LAGGED', 'Too slow.');

  const overSocket = api.openClient().iterate({ query: WATCH });
  const answer = overSocket.next();
  fail(lagged);
  await expect(answer).rejects.toMatchObject([
    { message: 'Too slow.', extensions: { code: 'LAGGED' } },
  ]);

  const response = await api.post(JSON.stringify({ query: WATCH }), {
    accept: 'text/event-stream',
  });
  fail(lagged);
  const text = await response.text();
  expect(text).toMatch(/event: next\ndata: \{"errors":\[\{"message":"Too slow\.".*"code":"LAGGED"/);
  expect(text).toContain('event: complete');
});

test.each([
  ['an error', new Error('secret')],
  ['several errors at once', new AggregateError([new Error('secret'), new Error('secret')])],
])(
  'a stream that fails by %s nobody foresaw says nothing about it, and logs it once',
  async (_what, error) => {
    const { feed, fail } = createFakeFeed();
    const api = await startGraphqlApi({ feed });
    const answer = api.openClient().iterate({ query: WATCH }).next();
    fail(error);
    await expect(answer).rejects.toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
    await expect(answer).rejects.not.toMatchObject([
      { message: expect.stringContaining('secret') },
    ]);
    expect(api.logs.lines.all.filter(({ level }) => level === 'error')).toHaveLength(1);
  },
);

test('a subscription that cannot start says why, and the socket stays open for the next', async () => {
  const api = await startGraphqlApi();
  const client = api.openClient();
  const codeOf = (query: string) =>
    client
      .iterate({ query })
      .next()
      .then(
        (result) => result,
        (errors: { extensions: unknown }[]) => errors[0]?.extensions,
      );
  const nobody = '00000000-0000-7000-8000-000000000000';
  const watch = (id: string) => `subscription { taskStatusChanged(id: "${id}") { status } }`;
  expect(await codeOf(watch(nobody))).toEqual({ code: 'TASK_NOT_FOUND' });
  expect(await codeOf(watch('x'))).toMatchObject({
    code: 'BAD_USER_INPUT',
    issues: [{ path: ['id'] }],
  });
  expect(await codeOf('subscription { nothing }')).toEqual({ code: 'GRAPHQL_VALIDATION_FAILED' });
  expect(await codeOf('subscription {')).toEqual({ code: 'GRAPHQL_PARSE_FAILED' });
  expect(await codeOf('query A { __typename } query B { __typename }')).toEqual({
    code: 'OPERATION_RESOLUTION_FAILURE',
  });
  expect(await codeOf('subscription { taskStatusChanged(after: "x") { status } }')).toMatchObject({
    code: 'BAD_USER_INPUT',
    issues: [{ path: ['after'] }],
  });
  expect(api.logs.lines.all.filter(({ level }) => level === 'error')).toEqual([]);
});

test('malformed frames, foreign protocols and unknown paths cost a client its socket and nobody else', async () => {
  const api = await startGraphqlApi();
  const garbage = await openSocket(api.url);
  garbage.send('not JSON');
  expect((await once(garbage, 'close'))[0]).toBe(4400);

  const huge = await openSocket(api.url);
  huge.send('x'.repeat(1024 * 1024 + 1));
  expect((await once(huge, 'close'))[0]).toBe(1009);

  const broken = await openSocket(api.url);
  // A frame whose reserved bits are set.
  (broken as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(
    Buffer.from([0xff, 0xff, 0, 0]),
  );
  expect((await once(broken, 'close'))[0]).toBe(1002);

  const foreign = new WebSocket(api.url.replace('http', 'ws'), 'graphql-ws');
  expect((await once(foreign, 'error'))[0].message).toContain('no subprotocol');

  const elsewhere = new WebSocket(api.url.replace('http', 'ws').replace('/graphql', '/other'));
  const [error] = await once(elsewhere, 'error');
  expect(error.message).toContain('404');
  (await openSocket(`${api.url}/`)).close();

  expect((await api.ask('{ __typename }')).data).toEqual({ __typename: 'Query' });
  expect(api.logs.lines.all.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a shutdown closes sockets with 1001, refuses new ones, and cuts streams without completing them', async () => {
  const { feed, push } = createFakeFeed();
  const api = await startGraphqlApi({ feed });
  const socket = await openSocket(api.url);
  const response = await api.post(JSON.stringify({ query: WATCH }), {
    accept: 'text/event-stream',
  });
  push(makeTaskChange());
  const rest = await readUntil(response, 'event: next');
  const closed = once(socket, 'close');
  await api.sockets.close({ graceMs: 60_000 });
  expect((await closed)[0]).toBe(1001);
  const late = new WebSocket(api.url.replace('http', 'ws'), 'graphql-transport-ws');
  const [error] = await once(late, 'error');
  expect(error.message).toContain('503');
  const cut = expect(readToEnd(rest)).rejects.toThrow();
  await api.closeHttp();
  await cut;
});

test('a shutdown lets a mutation over WebSocket finish before it closes the socket', async () => {
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { service } = await startTestService();
  const api = await startGraphqlApi({
    service: {
      ...service,
      async cancelMany() {
        begun.resolve();
        await gate.promise;
        return 7;
      },
    },
  });
  const answers = api
    .openClient()
    .iterate({ query: 'mutation { cancelTasks(filter: { status: [NEW] }) { count } }' });
  const answer = answers.next();
  await begun.promise;
  const closed = api.sockets.close({ graceMs: 60_000 });
  gate.resolve();
  expect((await answer).value).toEqual({ data: { cancelTasks: { count: 7 } } });
  await closed;
});

interface WatchedEvent {
  cursor: string;
  status: string;
}

async function collect(results: AsyncIterable<{ data?: unknown }>): Promise<WatchedEvent[]> {
  const events: WatchedEvent[] = [];
  for await (const { data } of results) {
    events.push((data as { taskStatusChanged: WatchedEvent }).taskStatusChanged);
  }
  return events;
}

type Chunks = AsyncIterator<Uint8Array>;

/** Resolves to what follows the text. */
async function readUntil({ body }: Response, text: string): Promise<Chunks> {
  const chunks: Chunks | undefined = body?.[Symbol.asyncIterator]();
  let read = '';
  while (!read.includes(text)) {
    const chunk = await chunks?.next();
    if (chunk === undefined || chunk.done) throw new Error(`No ${text} in the stream: ${read}`);
    read += Buffer.from(chunk.value).toString();
  }
  if (chunks === undefined) throw new Error('No body.');
  return chunks;
}

async function readToEnd(chunks: Chunks): Promise<void> {
  while (!(await chunks.next()).done);
}

import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { EventSource } from 'eventsource';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Task } from '../../src/domain/task.ts';
import { cancel, claim, complete, retry } from '../../src/domain/transitions.ts';
import { taskEventJson } from '../../src/rest/task-event-json.ts';
import { openEvents, type SentEvent } from '../support/event-reader.ts';
import { createFakeFeed } from '../support/fake-feed.ts';
import { createInbox } from '../support/inbox.ts';
import { type RestClient, startRest, TASKS } from '../support/rest-client.ts';
import { makeTaskChange } from '../support/task-changes.ts';
import type { TestService } from '../support/test-service.ts';

const EVENTS = '/api/v1/events';
const ABSENT = '01890000-0000-7000-8000-000000000000';
const WORKER = '01890000-0000-7000-8000-00000000000f';

type Rest = RestClient & TestService & { url: string };

describe('watching one task', () => {
  test('begins with its present state, goes on with every change, and ends after a final status', async () => {
    const rest = await listeningRest();
    const { id } = await rest.create({ title: 'watch me' });
    const events = await openEvents(`${rest.url}${TASKS}/${id}/events`);
    expect(events.response.status).toBe(200);
    expect(Object.fromEntries(events.response.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
      'x-accel-buffering': 'no',
    });
    expect(await events.nextBlock()).toBe('retry: 1000');
    const first = await events.next();
    expect(first).toMatchObject({ id: first.data.cursor, event: undefined });
    expect(taskEventJson.strict().parse(first.data)).toMatchObject({
      task_id: id,
      version: 2,
      previous_status: 'NEW',
      status: 'PENDING',
      attempt: 0,
      reason: null,
      task: { id, title: 'watch me', status: 'PENDING', max_attempts: 3 },
    });

    await finish(rest, id);
    const later = await events.rest();
    expect(later.map(({ data }) => [data.version, data.previous_status, data.status])).toEqual([
      [3, 'PENDING', 'IN_PROGRESS'],
      [4, 'IN_PROGRESS', 'COMPLETED'],
    ]);
    expect(later.map(({ data }) => data.task.status)).toEqual(['IN_PROGRESS', 'COMPLETED']);
    expect(later.at(-1)?.data.task.result).toBe('done');
  });

  test('of one that is final already tells that, and ends', async () => {
    const rest = await listeningRest();
    const { id } = await rest.create();
    await rest.service.cancel(id, 'no longer needed');
    const events = await openEvents(`${rest.url}${TASKS}/${id.toUpperCase()}/events/`);
    expect((await events.rest()).map(({ data }) => [data.status, data.reason])).toEqual([
      ['CANCELLED', 'no longer needed'],
    ]);
  });

  test.each<[string, (cursor: string, other: string) => [string, Record<string, string>]]>([
    ['the header', (cursor) => ['', { 'last-event-id': cursor }]],
    ['the query', (cursor) => [`?after=${cursor}`, {}]],
    [
      'the header before the query',
      (cursor, old) => [`?after=${old}`, { 'last-event-id': cursor }],
    ],
    [
      'the query where the header is empty',
      (cursor) => [`?after=${cursor}`, { 'last-event-id': '' }],
    ],
  ])('goes on from where it was left, by %s', async (_how, say) => {
    const rest = await listeningRest();
    const { id } = await rest.create();
    const { data: second } = await (await watch(rest, id)).next();
    await rest.advance([claim(id, WORKER)]);
    const { data: third } = await (await watch(rest, id)).next();
    const [query, headers] = say(third.cursor, second.cursor);
    const resumed = await openEvents(`${rest.url}${TASKS}/${id}/events${query}`, headers);
    await rest.advance([cancel(id)]);
    expect(versions(await resumed.rest())).toEqual([4]);
  });

  test('begins anew where the header and the query are empty', async () => {
    const rest = await listeningRest();
    const { id } = await rest.create();
    await rest.service.cancel(id);
    const events = await openEvents(`${rest.url}${TASKS}/${id}/events?after=`, {
      'last-event-id': '',
    });
    expect(versions(await events.rest())).toEqual([3]);
  });

  test('is answered 204 by who has seen the final event, until the task is retried', async () => {
    const rest = await listeningRest();
    const { id } = await rest.create();
    await rest.service.cancel(id);
    const final = await (await watch(rest, id)).next();
    const headers = { 'last-event-id': String(final.id) };
    const { status, text, headers: answered } = await rest.get(`${TASKS}/${id}/events`, headers);
    expect([status, text]).toEqual([204, '']);
    expect(answered).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'no-store',
    });
    await rest.advance([retry(id)]);
    await rest.service.cancel(id);
    const again = await openEvents(`${rest.url}${TASKS}/${id}/events`, headers);
    expect(versions(await again.rest())).toEqual([4, 5]);
  });
});

describe('watching all tasks', () => {
  const life = (title: string) => ['NEW', 'PENDING', 'CANCELLED'].map((s) => `${title} ${s}`);

  test.each([
    ['', [...life('low'), ...life('other'), ...life('last')]],
    ['status=&priority=&type=&after=', [...life('low'), ...life('other'), ...life('last')]],
    ['status=CANCELLED', ['low CANCELLED', 'other CANCELLED', 'last CANCELLED']],
    ['priority=HIGH', [...life('other'), ...life('last')]],
    ['type=simulate', [...life('low'), ...life('last')]],
    ['status=CANCELLED&priority=HIGH&type=simulate', ['last CANCELLED']],
  ])('gives the changes that match, from now on: %s', async (query, expected) => {
    const type = { description: 'For a test.' };
    const rest = await listeningRest({ taskTypes: { simulate: type, other: type } });
    await rest.create({ title: 'before', priority: 'HIGH' });
    const events = await openEvents(`${rest.url}${EVENTS}?${query}`);
    await createAndCancel(rest, { title: 'low', priority: 'LOW' });
    await createAndCancel(rest, { title: 'other', priority: 'HIGH', type: 'other' });
    await createAndCancel(rest, { title: 'last', priority: 'HIGH' });
    const told = [];
    while (told.at(-1) !== 'last CANCELLED') {
      const { data } = await events.next();
      told.push(`${data.task.title} ${data.status}`);
    }
    expect(told).toEqual(expected);
  });

  test('goes on from where it was left, by the header and by the query', async () => {
    const rest = await listeningRest();
    const events = await openEvents(`${rest.url}${EVENTS}?status=CANCELLED`);
    const first = await createAndCancel(rest);
    const { id: cursor = '', data } = await events.next();
    expect(data.task_id).toBe(first);
    events.leave();
    const second = await createAndCancel(rest);
    const path = `${rest.url}${EVENTS}?status=CANCELLED`;
    for (const resumed of [
      await openEvents(path, { 'last-event-id': cursor }),
      await openEvents(`${path}&after=${cursor}`),
    ]) {
      expect((await resumed.next()).data.task_id).toBe(second);
    }
  });

  test('that is cut off before it has brought any can be resumed all the same', async () => {
    const rest = await listeningRest();
    const events = await openEvents(`${rest.url}${EVENTS}`);
    const [, cursor = ''] = /^retry: 1000\nid: (\S+)$/.exec((await events.nextBlock()) ?? '') ?? [];
    events.leave();
    const missed = await createAndCancel(rest);
    const resumed = await openEvents(`${rest.url}${EVENTS}`, { 'last-event-id': cursor });
    expect((await resumed.next()).data).toMatchObject({ task_id: missed, version: 1 });
  });

  test('brings what was too large to be announced', async () => {
    const { feed, push } = createFakeFeed();
    const rest = await listeningRest({ feed });
    const payload = { text: 'x'.repeat(100_000) };
    const { id } = await rest.create();
    const text = 'update tasks set payload = $2 where id = $1';
    await rest.database.run({ text }, [id, payload]);
    const change = makeTaskChange({ task: { id, payload: null, omitted: ['payload'] } });
    const events = await openEvents(`${rest.url}${EVENTS}`);
    push(change);
    expect((await events.next()).data.task).toMatchObject({ id, payload, status: 'COMPLETED' });
  });
});

describe('a stream that cannot be', () => {
  test.each<[string, string, Record<string, string>, number, unknown]>([
    ['an unknown task', `${TASKS}/${ABSENT}/events`, {}, 404, undefined],
    ['a bad id', `${TASKS}/7/events`, {}, 422, ['id']],
    ['a bad cursor of one task', `${TASKS}/${ABSENT}/events?after=x`, {}, 422, ['after']],
    ['a bad cursor of all', `${EVENTS}?after=x`, {}, 422, ['after']],
    ['a bad header', `${EVENTS}`, { 'last-event-id': 'Straße' }, 422, ['after']],
    ['two cursors', `${EVENTS}?after=x&after=y`, {}, 422, ['after']],
    ['an unknown parameter', `${EVENTS}?limit=5`, {}, 422, ['limit']],
    ['a filter of one task', `${TASKS}/${ABSENT}/events?status=NEW`, {}, 422, ['status']],
    ['an unknown status', `${EVENTS}?status=DONE`, {}, 422, ['status']],
    ['an unknown priority', `${EVENTS}?priority=high`, {}, 422, ['priority']],
  ])('says why, to any page: %s', async (_what, url, headers, expected, path) => {
    const rest = await startRest();
    const answer = await rest.get(url, headers);
    expect(answer.status).toBe(expected);
    expect(answer.headers).toMatchObject({
      'content-type': expect.stringContaining('application/problem+json'),
      'access-control-allow-origin': '*',
    });
    expect(answer.body.errors?.map((issue: { path: unknown }) => issue.path)).toEqual(
      path && [path],
    );
  });

  test('because it has no body is refused, and says what is taken', async () => {
    const rest = await startRest();
    for (const url of [EVENTS, `${TASKS}/${ABSENT}/events`]) {
      const { status, headers } = await rest.request({ method: 'HEAD', url });
      expect([status, headers.allow]).toEqual([405, 'GET']);
    }
  });
});

describe('a connection', () => {
  test('whose client leaves while nothing happens is released', async () => {
    const { feed, push, released } = createFakeFeed();
    const { url } = await listeningRest({ feed });
    for (const path of [EVENTS, `${TASKS}/${ABSENT}/events`]) {
      const events = await openEvents(`${url}${path}`);
      push(makeTaskChange());
      await events.next();
      events.leave();
      await released();
    }
  });

  test('on which nothing happens carries a comment every 15 seconds', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const { feed } = createFakeFeed();
    const { url } = await listeningRest({ feed });
    const events = await openEvents(`${url}${EVENTS}`);
    expect(await events.nextBlock()).toBe('retry: 1000');
    for (let beat = 0; beat < 3; beat += 1) {
      const next = events.nextBlock();
      vi.advanceTimersByTime(15_000);
      expect(await next).toBe(':');
    }
  });

  test('whose client reads slowly goes on, and ends when nothing is read for a minute', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const { feed, push } = createFakeFeed();
    const { url } = await listeningRest({ feed });
    const description = 'x'.repeat(90_000);
    for (let n = 0; n < 900; n += 1) push(makeTaskChange({ task: { description } }));
    const events = await openSlowly(`${url}${EVENTS}`);
    for (let beat = 0; beat < 5; beat += 1) {
      // More than the system keeps on the way, so that some of it was sent since the last beat.
      await events.read(12_000_000);
      vi.advanceTimersByTime(15_000);
    }
    for (let beat = 0; beat < 4; beat += 1) {
      expect(events.isCut()).toBe(false);
      vi.advanceTimersByTime(15_000);
    }
    await expect(events.read(81_000_000)).rejects.toThrow();
    expect(events.isCut()).toBe(true);
  }, 30_000);

  test('whose client leaves before it is open is no failure, and leaves nothing behind', async () => {
    const { feed, released } = createFakeFeed();
    const [asked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const rest = await listeningRest({
      feed: {
        ...feed,
        async watchTasks(filter, after) {
          asked.resolve();
          await gate.promise;
          return feed.watchTasks(filter, after);
        },
      },
    });
    const leaving = new AbortController();
    const answer = fetch(`${rest.url}${EVENTS}`, { signal: leaving.signal });
    await asked.promise;
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await expect.poll(() => countConnections(rest)).toBe(0);
    gate.resolve();
    await released();
    expect(rest.logs.lines.all.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('is cut by a shutdown, and not ended', async () => {
    const { feed, push } = createFakeFeed();
    const rest = await listeningRest({ feed });
    const events = await openEvents(`${rest.url}${EVENTS}`);
    push(makeTaskChange());
    await events.next();
    const cut = expect(events.rest()).rejects.toThrow();
    await rest.app.close();
    await cut;
  });

  test('is cut by a failure that nobody foresaw, which is logged once and not told', async () => {
    const { feed, push, fail } = createFakeFeed();
    const rest = await listeningRest({ feed });
    const events = await openEvents(`${rest.url}${EVENTS}`);
    push(makeTaskChange());
    await events.next();
    fail(new Error('secret'));
    await expect(events.rest()).rejects.toThrow();
    const errors = rest.logs.lines.all.filter(({ level }) => level === 'error');
    expect(errors).toMatchObject([{ err: { message: 'secret' } }]);
  });
});

describe('EventSource', () => {
  test('that is cut off resumes by itself without loss, and stops after a final status', async () => {
    const rest = await listeningRest();
    const { id } = await rest.create();
    const source = openSource(`${rest.url}${TASKS}/${id}/events`);
    expect((await source.messages.take()).data.version).toBe(2);
    rest.app.server.closeAllConnections();
    expect((await source.errors.take()).readyState).toBe(EventSource.CONNECTING);
    await finish(rest, id);
    expect(versions(await source.messages.takeMany(2))).toEqual([3, 4]);
    // The stream has ended; it comes back, and is told to stop.
    expect((await source.errors.take()).readyState).toBe(EventSource.CONNECTING);
    expect(await source.errors.take()).toEqual({ readyState: EventSource.CLOSED, code: 204 });
    expect(source.messages.all).toHaveLength(3);
  });

  test('that watches all tasks and is cut off again and again sees each change once', async () => {
    const rest = await listeningRest();
    const source = openSource(`${rest.url}${EVENTS}?status=CANCELLED`);
    await source.opened;
    const ids = [await createAndCancel(rest)];
    await source.messages.take();
    for (let cut = 0; cut < 2; cut += 1) {
      for (let count = 0; count < 5; count += 1) ids.push(await createAndCancel(rest));
      rest.app.server.closeAllConnections();
      for (let count = 0; count < 5; count += 1) ids.push(await createAndCancel(rest));
      await source.errors.take();
      ids.push(await createAndCancel(rest));
      await source.messages.takeMany(11);
    }
    expect(source.messages.all.map(({ data }) => data.task_id)).toEqual(ids);
  });

  test('that lags behind is told so, and resumes from the last change that it was told', async () => {
    const { feed, opened, push } = createFakeFeed();
    const { url } = await listeningRest({ feed });
    const source = openSource(`${url}${EVENTS}`);
    await opened.take();
    const changes = Array.from({ length: 1_200 }, () => {
      return makeTaskChange({ task: { description: 'x'.repeat(1_000) } });
    });
    for (const change of changes) push(change);
    expect((await source.lagged.take()).data).toMatchObject({
      status: 503,
      detail: expect.stringContaining('more than 1000 changes behind'),
    });
    expect(await opened.take()).toEqual({ after: source.messages.all.at(-1)?.id });
    expect(source.messages.all.map(({ data }) => data.task_id)).toEqual(
      changes.slice(0, source.messages.all.length).map(({ task }) => task.id),
    );
    expect(source.messages.all.length).toBeGreaterThanOrEqual(1_000);
    expect(source.messages.all.length).toBeLessThan(1_200);
  });
});

/** REST on a port of its own. */
async function listeningRest(options: Parameters<typeof startRest>[0] = {}): Promise<Rest> {
  const rest = await startRest(options);
  const url = await rest.app.listen({ host: '127.0.0.1', port: 0 });
  return { ...rest, url };
}

function countConnections({ app }: Rest): Promise<number> {
  return new Promise((resolve, reject) => {
    app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

async function watch({ url }: Rest, id: string) {
  return openEvents(`${url}${TASKS}/${id}/events`);
}

/** A client that reads no more than it is told to. */
async function openSlowly(url: string) {
  const [answer] = (await once(get(url), 'response')) as [IncomingMessage];
  onTestFinished(() => void answer.destroy());
  const failure = once(answer, 'close').then(() => {
    throw new Error('The connection was closed.');
  });
  failure.catch(() => {});
  answer.on('error', () => {});
  return {
    async read(bytes: number) {
      const enough = Promise.withResolvers<void>();
      let read = 0;
      const onData = ({ length }: Buffer) => {
        read += length;
        if (read >= bytes) enough.resolve();
      };
      answer.on('data', onData).resume();
      await Promise.race([enough.promise, failure]);
      answer.off('data', onData).pause();
    },
    isCut: () => answer.destroyed,
  };
}

/** Runs a task that waits to its end, as a worker does. */
async function finish({ advance }: Rest, id: string): Promise<void> {
  const [claimed] = await advance([claim(id, WORKER)]);
  if (!claimed) throw new Error('The task was not to be had.');
  await advance([complete({ taskId: id, version: claimed.task.version }, 'done')]);
}

/** @returns the id */
async function createAndCancel(rest: Rest, input: Partial<Task> = {}): Promise<string> {
  const { id } = await rest.create(input);
  await rest.service.cancel(id);
  return id;
}

function versions(events: readonly Pick<SentEvent, 'data'>[]): number[] {
  return events.map(({ data }) => data.version);
}

/** An `EventSource` as browsers have it, and all that it tells its page. Closed when the test ends. */
function openSource(url: string) {
  const source = new EventSource(url);
  onTestFinished(() => source.close());
  const [messages, lagged] = [createInbox<Message>(), createInbox<Message>()];
  const errors = createInbox<{ readyState: number; code: number | undefined }>();
  const opened = new Promise((resolve) => source.addEventListener('open', resolve));
  source.onmessage = ({ data, lastEventId }) =>
    messages.put({ id: lastEventId, data: JSON.parse(data) });
  source.addEventListener('lagged', ({ data, lastEventId }) =>
    lagged.put({ id: lastEventId, data: JSON.parse(data) }),
  );
  source.onerror = ({ code }) => errors.put({ readyState: source.readyState, code });
  return { opened, messages, lagged, errors };
}

interface Message {
  id: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says by its expectations what it should be
  data: any;
}

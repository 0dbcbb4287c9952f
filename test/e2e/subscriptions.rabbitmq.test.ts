import { expect, test, vi } from 'vitest';
import {
  type Operation,
  type Stream,
  subscribeBySse,
  subscribeByWebSocket,
} from '../support/graphql-client.ts';
import { median, report } from '../support/measure.ts';
import { cancelTask, createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';

interface Change {
  cursor: string;
  taskId: string;
  version: number;
  status: string;
  previousStatus: string | null;
  attempt: number;
}

interface Data {
  taskStatusChanged: Change;
}

test('over WebSocket and SSE one sees the present state, then every change in order, then the end', async () => {
  const { env, ledger } = await setStage();
  const [one, other] = await Promise.all([startApi({ env }), startApi({ env })]);
  const { id } = await createTask(one.url, { payload: { durationMs: 20, failAttempts: 1 } });

  const webSocket = subscribeByWebSocket<Data>(one.url, watch({ id })).stream;
  const sse = await subscribeBySse<Data>(other.url, watch({ id }));
  const [first, same] = [await take(webSocket), await take(sse)];
  await startWorker(env);
  const [rest, others] = await Promise.all([takeAll(webSocket), takeAll(sse)]);

  const { history } = await ledger.task(id);
  const expected = history
    .slice(1)
    .map(({ version, status, previousStatus, attempt }) =>
      expect.objectContaining({ taskId: id, version, status, previousStatus, attempt }),
    );
  expect([first, ...rest]).toEqual(expected);
  expect([same, ...others]).toEqual(expected);
  expect([first, ...rest].map(({ status }) => status)).toEqual([
    'PENDING',
    'IN_PROGRESS',
    'NEW',
    'PENDING',
    'IN_PROGRESS',
    'COMPLETED',
  ]);
});

test('resumed at another API process, a stream brings what was missed, goes on live, and ends', async () => {
  const { env, ledger } = await setStage();
  const [one, other] = await Promise.all([startApi({ env }), startApi({ env })]);
  const { id } = await createTask(one.url, { payload: { durationMs: 600_000 } });

  const left = subscribeByWebSocket<Data>(one.url, watch({ id })).stream;
  const seen = await take(left);
  await left.return?.();
  const quitter = await startWorker({ ...env, SHUTDOWN_GRACE_SECONDS: '0' });
  const isRunning = async () => expect((await ledger.task(id)).status).toBe('IN_PROGRESS');
  await vi.waitFor(isRunning, WAIT);
  quitter.kill('SIGTERM');
  await quitter.exited;
  await startWorker(env);
  await vi.waitFor(isRunning, WAIT);

  const { history } = await ledger.task(id);
  const missed = history
    .slice(seen.version)
    .map(({ version, status }) => expect.objectContaining({ version, status }));
  expect(missed.length).toBeGreaterThanOrEqual(3);
  const after = watch({ id, after: seen.cursor });
  const resumed = [
    subscribeByWebSocket<Data>(other.url, after).stream,
    await subscribeBySse<Data>(other.url, after),
  ];
  for (const stream of resumed) {
    for (const change of missed) expect(await take(stream)).toEqual(change);
  }
  await cancelTask(one.url, id);
  const live = await Promise.all(resumed.map(takeAll));
  for (const changes of live) {
    expect(changes).toMatchObject([{ version: history.length + 1, status: 'CANCELLED' }]);
  }

  const final = watch({ id, after: String(live[0]?.[0]?.cursor) });
  expect(await takeAll(subscribeByWebSocket<Data>(one.url, final).stream)).toEqual([]);
  expect(await takeAll(await subscribeBySse<Data>(other.url, final))).toEqual([]);
});

test('a change made at one API process shows at another at once, long before the database is asked', async () => {
  const { env } = await setStage();
  const [one, other] = await Promise.all([startApi({ env }), startApi({ env })]);
  const run_at = new Date(Date.now() + 3_600_000).toISOString();
  const delaysMs: number[] = [];
  for (let round = 1; round <= 15; round += 1) {
    const { id } = await createTask(one.url, { run_at });
    const { stream } = subscribeByWebSocket<Data>(other.url, watch({ id }));
    await take(stream);
    const before = performance.now();
    const [change] = await Promise.all([take(stream), cancelTask(one.url, id)]);
    delaysMs.push(Math.round(performance.now() - before));
    expect(change.status).toBe('CANCELLED');
  }
  report(`cancelled at one API, seen at another: median ${median(delaysMs)} ms`);
  // Healed from the database it would take 750 ms in the middle.
  expect(median(delaysMs)).toBeLessThan(250);
}, 40_000);

test('a change that died unannounced with its worker still reaches who watches the task', async () => {
  const { ofTask } = await loseAnnouncement();
  expect((await takeAll(ofTask)).at(-1)).toMatchObject({ status: 'COMPLETED' });
});

test('a change that died unannounced with its worker still reaches who watches all tasks', async () => {
  const { ofAll, id } = await loseAnnouncement();
  expect(await take(ofAll)).toMatchObject({ taskId: id, status: 'COMPLETED' });
});

/** A worker completes a task while RabbitMQ is away for it, and is killed before it can tell anyone. */
async function loseAnnouncement() {
  const { env, ledger } = await setStage();
  const rabbit = await setLink(env.RABBITMQ_URL);
  const { url } = await startApi({ env });
  const { id } = await createTask(url, { payload: { durationMs: 1_000 } });
  const ofTask = subscribeByWebSocket<Data>(url, watch({ id })).stream;
  const { cursor } = await take(ofTask);
  const ofAll = subscribeByWebSocket<Data>(url, watch({ after: cursor })).stream;
  const worker = await startWorker({ ...env, RABBITMQ_URL: rabbit.url });
  for (const stream of [ofTask, ofAll]) {
    expect(await take(stream)).toMatchObject({ taskId: id, status: 'IN_PROGRESS' });
  }

  await rabbit.refuse();
  await vi.waitFor(async () => expect((await ledger.task(id)).status).toBe('COMPLETED'), WAIT);
  worker.kill('SIGKILL');
  return { id, ofTask, ofAll };
}

const WAIT = { timeout: 15_000, interval: 20 };

function watch(variables: { id?: string; after?: string }): Operation {
  const query = `subscription($id: ID, $after: String) {
    taskStatusChanged(id: $id, after: $after) { cursor taskId version status previousStatus attempt }
  }`;
  return { query, variables };
}

async function take(stream: Stream<Data>): Promise<Change> {
  const { value, done } = await stream.next();
  if (done) throw new Error('The stream ended.');
  return value.taskStatusChanged;
}

/** All that is still to come, until the server completes the stream. */
async function takeAll(stream: Stream<Data>): Promise<Change[]> {
  const changes: Change[] = [];
  for await (const { taskStatusChanged } of stream) changes.push(taskStatusChanged);
  return changes;
}

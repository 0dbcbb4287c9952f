import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { cancel } from '../../src/domain/transitions.ts';
import { openDatabase } from '../../src/store/database.ts';
import { startClient } from '../support/client-process.ts';
import { openFront } from '../support/front.ts';
import { cursorOf, runGraphql } from '../support/graphql-client.ts';
import { createLogLines } from '../support/log-lines.ts';
import { eventSourceClient, graphqlWsClient, urqlClient } from '../support/readme-clients.ts';
import { cancelTask, createTask } from '../support/rest-calls.ts';
import { startApi, startWorker } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';
import { applyOpenly } from '../support/streams.ts';
import { type Told, versionsOf, versionsTold } from '../support/told.ts';

/** What the README gives to each kind of client. */
const CLIENTS = { graphqlWs: graphqlWsClient, urql: urqlClient, eventSource: eventSourceClient };

test('every client sees every change once and in order, across cuts, restarts and outages', async () => {
  const { one, other, restartOne, front, database, after, changes, seenBy } = await setScene();
  const clients = Object.values(CLIENTS).map((client) =>
    startClient(client({ url: front.url, after })),
  );
  // The first cut comes before the first change.
  for (let cut = 1; cut <= 3; cut += 1) {
    await front.reached(clients.length);
    const lives = liveTasks(other.url, 4);
    front.cut();
    await lives;
    await seenBy(clients);
  }

  one.kill('SIGKILL');
  await liveTasks(other.url, 4);
  await restartOne();
  await seenBy(clients);

  await front.lead(other.url, () => liveTasks(other.url, 4));
  await seenBy(clients);

  await database.refuse();
  front.cut();
  for (const { refusals } of clients) {
    expect(await refusals.take()).toMatch(/^(SERVICE_UNAVAILABLE|503)$/);
  }
  await database.heal();
  await ready(other.url);
  await liveTasks(other.url, 4);
  await seenBy(clients);

  const all = await changes();
  expect(clients.map(versionsTold)).toEqual(clients.map(() => all));
  expect(clients.flatMap(({ ends }) => ends.all)).toEqual([]);
}, 90_000);

test.each(Object.entries(CLIENTS))(
  '%s sees a task to its end, though it ran and ended while the connection was cut',
  async (_name, client) => {
    const { env, one, other, front, ledger } = await setScene();
    const { id } = await createTask(one.url, { payload: { durationMs: 20, failAttempts: 1 } });
    const told = startClient(client({ url: front.url, id }));
    const { version } = await told.changes.take();
    await front.lead(other.url, async () => {
      await startWorker(env);
      await vi.waitFor(async () => expect((await ledger.task(id)).status).toBe('COMPLETED'), WAIT);
    });
    expect(await told.ends.take()).toBe('complete');
    const { history } = await ledger.task(id);
    expect(versionsTold(told)).toEqual(versionsOf([{ id, history: history.slice(version - 1) }]));
  },
  40_000,
);

test('every client is told a change that became visible late, while the connection was cut', async () => {
  const { env, other, front, after, ledger, changes, seenBy } = await setScene();
  const database = openDatabase({ url: env.DATABASE_URL, log: createLogLines().log });
  onTestFinished(database.close);
  const { id } = await createTask(other.url, { run_at: LATER });
  const clients = Object.values(CLIENTS).map((client) =>
    startClient(client({ url: front.url, after })),
  );
  await seenBy(clients);
  const unannounced = { ...createMemoryBroker(), publishEvents() {} };
  const late = await applyOpenly({ database, broker: unannounced }, [cancel(id)]);
  await liveTasks(other.url, 2);
  await seenBy(clients);
  await front.lead(other.url, late.commit);
  await seenBy(clients);
  expect((await ledger.task(id)).status).toBe('CANCELLED');
  const all = await changes();
  expect(clients.map(versionsTold)).toEqual(clients.map(() => all));
}, 40_000);

test('a client that slept and lags behind goes on from where it was', async () => {
  const { other, front, after, changes, seenBy } = await setScene();
  // More of it than fits into what lies between the service and a client that sleeps.
  const more = Array.from({ length: 25 }, (_, copy) => `copy${copy}: description`).join(' ');
  const script = graphqlWsClient({ url: front.url, after, more });
  // Without its pings: it might take the link for dead before it is told.
  const client = startClient(script.replace('10_000', '0'));
  await liveTasks(other.url, 1);
  await seenBy([client]);
  client.kill('SIGSTOP');
  for (let batch = 0; batch < 5; batch += 1) await createMany(other.url);
  // The service bears with who is slow for half a second a page; after the third it no longer does.
  await sleep(3_000);
  client.kill('SIGCONT');
  await seenBy([client]);
  expect(client.refusals.all).toContain('LAGGED');
  expect(versionsTold(client)).toEqual(await changes());
}, 60_000);

test('a link that died in silence is noticed, and left', async () => {
  const { other, front, after, changes, seenBy } = await setScene();
  const script = graphqlWsClient({ url: front.url, after });
  const client = startClient(script.replace('10_000', '300').replace('5_000', '300'));
  await liveTasks(other.url, 1);
  await seenBy([client]);
  front.stall();
  await liveTasks(other.url, 4);
  await front.reached(2);
  front.resume();
  await seenBy([client]);
  expect(versionsTold(client)).toEqual(await changes());
}, 30_000);

test('a client whose cursor has expired begins anew', async () => {
  const { one, other, front, after, ledger, seenBy } = await setScene();
  const client = startClient(graphqlWsClient({ url: front.url, after }));
  await liveTasks(other.url, 1);
  await seenBy([client]);
  await front.lead(one.url, async () => {
    await liveTasks(other.url, 1);
    await ledger.sql.query('delete from task_events');
  });
  expect(await client.refusals.take()).toBe('CURSOR_EXPIRED');
  const seen = client.changes.all.length;
  await vi.waitFor(async () => {
    await createTask(other.url, { run_at: LATER });
    expect(client.changes.all.length).toBeGreaterThan(seen);
  }, WAIT);
  expect(client.changes.all[seen]).toMatchObject({ version: 1, status: 'NEW' });
}, 30_000);

const LATER = new Date(Date.now() + 3_600_000).toISOString();
const WAIT = { timeout: 20_000, interval: 50 };

/** Two processes of the API, of which clients reach the first, by a way that breaks; the other is reached directly. */
async function setScene() {
  const { env, ledger } = await setStage();
  const database = await setLink(env.DATABASE_URL);
  const options = { env: { ...env, DATABASE_URL: database.url } };
  const [one, other] = await Promise.all([startApi(options), startApi(options)]);
  const { port: PORT } = new URL(one.url);
  const front = await openFront(one.url);
  const { id } = await createTask(other.url, { run_at: LATER });
  const after = await cursorOf(other.url, id);
  /** All after that. */
  const changes = async () => versionsOf((await ledger.tasks()).slice(1));

  return {
    env,
    ledger,
    database,
    one,
    other,
    restartOne: () => startApi({ env: { ...options.env, PORT } }),
    front,
    after,
    changes,
    /** Resolves when each client was told as many changes as there are. */
    async seenBy(clients: Told[]) {
      const count = Object.values(await changes()).flat().length;
      const told = () => Math.min(...clients.map((client) => client.changes.all.length));
      await vi.waitFor(() => expect(told()).toBeGreaterThanOrEqual(count), WAIT);
    },
  };
}

/** Tasks that are created, cancelled, retried and cancelled, all at the same time. */
async function liveTasks(url: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      const { id } = await createTask(url, { run_at: LATER });
      await cancelTask(url, id);
      await runGraphql(url, { query: `mutation { retryTask(id: "${id}") { id } }` });
      await cancelTask(url, id);
    }),
  );
}

async function createMany(url: string): Promise<void> {
  const query = 'mutation($input: [CreateTaskInput!]!) { createTasks(input: $input) { id } }';
  const description = 'x'.repeat(2_000);
  const input = Array.from({ length: 400 }, () => ({ title: 'many', description, runAt: LATER }));
  await runGraphql(url, { query, variables: { input } });
}

function ready(url: string): Promise<void> {
  return vi.waitFor(
    async () => expect((await fetch(`${url}/health/ready`)).status).toBe(200),
    WAIT,
  );
}

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Broker, BrokerUnavailable } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import type { TaskHandler } from '../../src/worker/handler.ts';
import { createInbox } from '../support/inbox.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const SENT_AGAIN = 'sent tasks again whose message was lost';
const retry = { baseMs: 10, factor: 1, capMs: 10, jitter: 0 };

let app: TestService;
let endLoad: () => Promise<void>;

/** Each run lasts this long, so that one slot cannot keep up with the load. */
const RUN_MS = 20;
const probe: TaskHandler = {
  description: 'a test',
  retry,
  run: () => new Promise((resolve) => setTimeout(resolve, RUN_MS)),
};

// What is due to be sent again is found out about in seconds; on a busy machine that adds up.
vi.setConfig({ testTimeout: 60_000 });

beforeEach(() => {
  endLoad = async () => {};
});

afterEach(() => endLoad());

test('a task whose message was lost is sent again although its queue is never empty', async () => {
  const { depths, memory } = await startLoaded();
  const [lost, other] = [await create(), await create()];
  await steal(2);
  await longAgo([lost.id]);
  // The other one is as lost, but has waited for seconds only: for all that one can know it is on its way.
  load(memory);
  await app.startWorker({ handlers: { probe } });
  expect(await app.follow(lost.id)).toContain('COMPLETED');
  expect((await app.service.get(other.id)).status).toBe('PENDING');
  expect(depths().length).toBeGreaterThan(0);
  expect(depths()).not.toContain(0);
  const again = app.logs.lines.all.filter(({ msg }) => msg === SENT_AGAIN);
  expect(again).toMatchObject([{ priority: 'MEDIUM', tasks: 1 }]);
});

test('a backlog whose messages are all lost is sent again in one go, however long it is', async () => {
  await startLoaded();
  const tasks = await Promise.all(Array.from({ length: 700 }, () => create()));
  const lost = tasks.map(({ id }) => id);
  await steal(lost.length);
  await longAgo(lost);
  await app.startWorker({ handlers: { probe } });
  const again = () => app.logs.lines.all.filter(({ msg }) => msg === SENT_AGAIN);
  await expect.poll(again, { timeout: 18_000 }).not.toEqual([]);
  expect(again()).toMatchObject([{ priority: 'MEDIUM', tasks: 700 }]);
});

test('a backlog that has waited for long is not sent again while it is worked off in order', async () => {
  const { depths } = await startLoaded();
  const backlog = [];
  // What is started is always minutes old, and so is what waits.
  for (let n = 0; n < 800; n += 1) backlog.push((await create()).id);
  await spread(backlog);
  await app.startWorker({ handlers: { probe } });
  await looks(depths, 1);
  expect((await app.service.get(String(backlog.at(-1)))).status).toBe('PENDING');
  expect(depths()).not.toContain(0);
  expect(app.logs.lines.all.filter(({ msg }) => msg === SENT_AGAIN)).toEqual([]);
});

test('a task that was sent again proves nothing about those that were queued before that', async () => {
  const { depths } = await startLoaded();
  const again = await create();
  const backlog = [];
  for (let n = 0; n < 600; n += 1) backlog.push((await create()).id);
  await longAgo([again.id, ...backlog]);
  // Its first message comes through all the same, and is the next to be delivered.
  await app.database.run({ text: 'update tasks set queued_at = now() where id = $1' }, [again.id]);
  const release = Promise.withResolvers<void>();
  const holding: TaskHandler = {
    description: 'a test',
    retry,
    run: async ({ task }) => {
      if (task.id === again.id) await release.promise;
    },
  };
  await app.startWorker({ handlers: { probe: holding } });
  await looks(depths, 1);
  expect((await app.service.get(again.id)).status).toBe('IN_PROGRESS');
  expect(app.logs.lines.all.filter(({ msg }) => msg === SENT_AGAIN)).toEqual([]);
  release.resolve();
});

test('a broker that does not tell the depth of its queue is no failure of the dispatcher', async () => {
  const asked = createInbox<void>();
  const memory = createMemoryBroker();
  await start({
    ...memory,
    ready: true,
    async queueDepth() {
      asked.put();
      throw new BrokerUnavailable('Not connected to RabbitMQ');
    },
  });
  await app.startWorker({ handlers: { probe } });
  await asked.take();
  const task = await create({ runAt: new Date(Date.now() + 300) });
  await app.follow(task.id);
  const loud = app.logs.lines.all.filter(({ level }) => level !== 'debug' && level !== 'info');
  expect(loud).toEqual([]);
});

/** On a broker that remembers what depths of the queue it told the dispatcher. */
async function startLoaded(): Promise<{ depths: () => readonly number[]; memory: Broker }> {
  const depths: number[] = [];
  const memory = createMemoryBroker();
  await start({
    ...memory,
    ready: true,
    async queueDepth(priority) {
      const depth = await memory.queueDepth(priority);
      if (priority === 'MEDIUM' && depth !== undefined) depths.push(depth);
      return depth;
    },
  });
  return { depths: () => depths, memory };
}

async function start(broker: Broker): Promise<void> {
  app = await startTestService({ broker, taskTypes: { probe } });
}

function create(input: Record<string, unknown> = {}) {
  return app.create({ type: 'probe', ...input });
}

/** Keeps some hundreds of tasks in the queue until the test ends. */
function load(memory: Broker): void {
  let ended = false;
  const loading = (async () => {
    while (!ended) {
      if (((await memory.queueDepth('MEDIUM')) ?? 0) < 300) {
        await Promise.all(Array.from({ length: 50 }, () => create()));
      } else await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  endLoad = async () => {
    ended = true;
    await loading;
  };
}

/** Takes so many messages from the queue and drops them. */
async function steal(count: number): Promise<void> {
  const taken = createInbox<void>();
  const thief = await app.broker.consumeTasks({
    slots: { HIGH: 1, MEDIUM: 1, LOW: 1 },
    onTask(delivery) {
      delivery.ack();
      taken.put();
    },
  });
  await taken.takeMany(count);
  await thief.stop();
}

/** As if these had been queued two minutes ago. */
async function longAgo(ids: readonly string[]): Promise<void> {
  const back = "- interval '2 minutes'";
  await app.database.run(
    { text: `update tasks set queued_at = queued_at ${back} where id = any ($1::uuid[])` },
    [ids],
  );
  await app.database.run(
    { text: `update task_events set at = at ${back} where task_id = any ($1::uuid[])` },
    [ids],
  );
}

/** As if these had been queued one by one, a second apart, the last of them two minutes ago. */
async function spread(ids: readonly string[]): Promise<void> {
  const text = `
with queued as (
  select id, now() - interval '2 minutes' - (cardinality($1::uuid[]) - n) * interval '1 second' as at
  from unnest($1::uuid[]) with ordinality as u(id, n)
),
moved as (
  update tasks t set queued_at = q.at from queued q where t.id = q.id
)
update task_events e set at = q.at from queued q where e.task_id = q.id`;
  await app.database.run({ text }, [ids]);
}

/** Resolves when the dispatcher has looked for lost messages so many times, to the end, and has begun once more. */
async function looks(depths: () => readonly number[], count: number): Promise<void> {
  await expect.poll(() => depths().length, { timeout: 18_000 }).toBeGreaterThan(count);
}

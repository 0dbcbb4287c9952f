import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Broker, BrokerUnavailable } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { createTaskCreator } from '../../src/tasks/create-tasks.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { historyOf } from '../support/history-of.ts';
import { createInbox } from '../support/inbox.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const parse = newTaskSchema(handlers);
let app: TestService;

describe('creating tasks', () => {
  beforeEach(async () => {
    app = await startTestService();
  });

  test('tells of NEW, then of PENDING', async () => {
    const task = await app.create();
    expect(task).toMatchObject({ status: 'PENDING', version: 2 });
    const history = await historyOf(app.database, task.id);
    expect(history.map(({ event }) => event.status)).toEqual(['NEW', 'PENDING']);
  });

  test('keeps the order of a batch', async () => {
    const titles = Array.from({ length: 1_000 }, (_, index) => `number ${index}`);
    const created = await app.service.createMany(titles.map((title) => parse.parse({ title })));
    expect(created.map(({ task }) => task.title)).toEqual(titles);
    const { tasks } = await app.service.list({}, { limit: 1_000 });
    expect(tasks.map(({ title }) => title).reverse()).toEqual(titles);
  });

  test('a few are announced to workers while they are stored, and none that might not be', async () => {
    const { events, createTasks } = spied();
    await createTasks([parse.parse({ title: 'tells what the time is there' })]);
    events.length = 0;
    await createTasks([parse.parse({ title: 'sure to be stored' })]);
    expect(events.splice(0)).toEqual(['publish', 'stored']);
    await createTasks([parse.parse({ title: 'maybe a repeat', idempotencyKey: 'a' })]);
    expect(events.splice(0)).toEqual(['stored', 'publish']);
    await createTasks([
      parse.parse({ title: 'tomorrow', runAt: new Date(Date.now() + 86_400_000) }),
    ]);
    expect(events.splice(0)).toEqual(['stored']);
    const tasks = Array.from({ length: 100 }, () => parse.parse({ title: 'one of many' }));
    await createTasks(tasks);
    expect(events.splice(0)).toEqual(['stored', 'publish']);
  });

  test('after one that could not be stored, the next is announced only once it is', async () => {
    const { events, createTasks, failNext } = spied();
    await createTasks([parse.parse({ title: 'tells what the time is there' })]);
    failNext();
    events.length = 0;
    await expect(createTasks([parse.parse({ title: 'never stored' })])).rejects.toThrow('no');
    expect(events.splice(0)).toEqual(['publish']);
    await createTasks([parse.parse({ title: 'the next' })]);
    expect(events.splice(0)).toEqual(['stored', 'publish']);
  });

  test('with one key at the same time makes one task, and everybody gets it', async () => {
    const input = parse.parse({ title: 'once', idempotencyKey: 'a' });
    const created = await Promise.all(Array.from({ length: 20 }, () => app.service.create(input)));
    expect(new Set(created.map(({ task }) => task.id)).size).toBe(1);
    expect(created.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(await app.service.count({})).toBe(1);
  });

  test('with a key that was used for something else is a conflict, whatever is created beside it', async () => {
    await app.service.create(parse.parse({ title: 'first', idempotencyKey: 'a' }));
    const results = await Promise.allSettled([
      app.service.create(parse.parse({ title: 'fine' })),
      app.service.create(parse.parse({ title: 'second', idempotencyKey: 'a' })),
      app.service.createMany([
        parse.parse({ title: 'never alone' }),
        parse.parse({ title: 'third', idempotencyKey: 'a' }),
      ]),
      app.service.create(parse.parse({ title: 'fine too', idempotencyKey: 'b' })),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    const { tasks } = await app.service.list({}, { limit: 10 });
    expect(tasks.map(({ title }) => title).sort()).toEqual(['fine', 'fine too', 'first']);
  });

  test('texts are not sorted into the index of searches by the one that has stored the last', async () => {
    // More than PostgreSQL lets wait by itself: four megabytes.
    await app.service.createMany(longInputs(24));
    expect(await sortIn()).toBeGreaterThan(4_096 / KILOBYTES_A_PAGE);
  });

  test('texts are sorted into the index of searches beside', async () => {
    const { createTasks, sorted } = spied();
    await createTasks(longInputs(60));
    await sorted.take();
    expect(await sortIn()).toBeLessThan(10);
  });

  test('with the same keys in opposite order does not deadlock', async () => {
    const keys = Array.from({ length: 50 }, (_, index) => `key ${index}`);
    const inputs = keys.map((idempotencyKey) => parse.parse({ title: 'x', idempotencyKey }));
    // Each through a process of its own, as far as the database can tell.
    const batches = Array.from({ length: 20 }, (_, index) => {
      const database = openDatabase({ url: app.databaseUrl, log: app.logs.log, poolSize: 1 });
      onTestFinished(() => database.close());
      const createTasks = createTaskCreator({ database, broker: app.broker });
      return createTasks(index % 2 === 0 ? inputs : inputs.toReversed());
    });
    await Promise.all(batches);
  });
});

test('a broker that fails to confirm leaves the task NEW, and the client none the wiser', async () => {
  const broker = Object.assign(createMemoryBroker(), {
    publishTasks: async () => {
      throw new BrokerUnavailable('no confirmation');
    },
  } satisfies Partial<Broker>);
  app = await startTestService({ broker });
  const task = await app.create();
  expect(task).toMatchObject({ status: 'NEW', version: 1 });
  expect(await app.service.count({})).toBe(1);
});

/** Tasks with 10,000 characters each that no search takes for those of another. */
function longInputs(count: number) {
  return Array.from({ length: count }, () =>
    parse.parse({ title: 'x', description: noise(10_000) }),
  );
}

/** Sorts in what is left. @returns how many pages that were */
async function sortIn(): Promise<number> {
  const [row] = await app.database.run<{ pages: number }>({
    text: `select gin_clean_pending_list('task_traits_search')::int as pages`,
  });
  return row?.pages ?? NaN;
}

const KILOBYTES_A_PAGE = 8;

/** Letters by chance, so that no three are like three others. */
function noise(length: number): string {
  return randomBytes(length).toString('base64').slice(0, length);
}

/** A creator that says what it does, in this order. */
function spied() {
  const events: string[] = [];
  const sorted = createInbox<'sorted'>();
  let fails = false;
  const failNext = () => {
    fails = true;
  };
  const broker: Broker = Object.assign(Object.create(app.broker), {
    isRemote: true,
    async publishTasks(...args: Parameters<Broker['publishTasks']>) {
      events.push('publish');
      await app.broker.publishTasks(...args);
    },
  } satisfies Partial<Broker>);
  const database: Database = Object.assign(Object.create(app.database), {
    async run(statement, values) {
      const rows = await app.database.run(statement, values);
      if (statement.name === 'sort_in_texts') sorted.put('sorted');
      return rows as never;
    },
    transaction: (work) =>
      app.database.transaction((tx) =>
        work({
          async run(statement, values) {
            if (fails) {
              fails = false;
              throw new Error('no');
            }
            const rows = await tx.run(statement, values);
            if (statement.name === 'insert_tasks') events.push('stored');
            return rows as never;
          },
        }),
      ),
  } satisfies Partial<Database>);
  return { events, sorted, failNext, createTasks: createTaskCreator({ database, broker }) };
}

import { beforeEach, expect, test } from 'vitest';
import type { Sql } from '../../src/store/sql.ts';
import { createTaskFinder } from '../../src/tasks/find-task.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let app: TestService;
let statements: number;
let find: ReturnType<typeof createTaskFinder>;

beforeEach(async () => {
  app = await startTestService();
  statements = 0;
  const counted: Sql = {
    run(statement, values) {
      statements += 1;
      return app.database.run(statement, values);
    },
  };
  find = createTaskFinder(counted);
});

test('tasks that are asked for at the same time are read by one statement, each as its own', async () => {
  const tasks = await Promise.all(Array.from({ length: 5 }, () => app.create()));
  const ids = tasks.map(({ id }) => id);
  const absent = '01890000-0000-7000-8000-000000000000';
  const found = await Promise.all([...ids, absent, ...ids].map(find));
  expect(found.map((task) => task?.id)).toEqual([...ids, undefined, ...ids]);
  expect(statements).toBe(1);
});

test('an id in capitals is the same id', async () => {
  const { id } = await app.create();
  expect((await find(id.toUpperCase()))?.id).toBe(id);
});

test('who has changed a task sees the change, even while others are reading it', async () => {
  const { id } = await app.create();
  const early = find(id);
  await app.service.cancel(id);
  expect((await find(id))?.status).toBe('CANCELLED');
  await early;
});

test('a read that is stuck holds up no other', async () => {
  const task = await app.create();
  const stuck = Promise.withResolvers<never[]>();
  let calls = 0;
  const sql: Sql = {
    run: (statement, values) => {
      calls += 1;
      return calls === 1 ? stuck.promise : app.database.run(statement, values);
    },
  };
  const findOne = createTaskFinder(sql);
  const first = findOne(task.id);
  // In a turn of its own.
  await new Promise((resolve) => setImmediate(resolve));
  expect((await findOne(task.id))?.id).toBe(task.id);
  stuck.resolve([]);
  expect(await first).toBeUndefined();
});

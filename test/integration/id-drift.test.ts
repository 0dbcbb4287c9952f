import { v7 as uuidv7 } from 'uuid';
import { beforeEach, expect, test } from 'vitest';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import type { TaskFilter } from '../../src/domain/task-filter.ts';
import { insertTasks } from '../../src/store/insert-tasks.ts';
import { listTasks } from '../../src/store/task-queries.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

test('a clock that is right is not worth a note', async () => {
  const before = await drift();
  await app.create();
  expect(before).toEqual({ lead: 10_000, lag: 10_000 });
  expect(await drift()).toEqual(before);
});

test('a task is found by when it was created, however wrong the clock that its id is of', async () => {
  const ids = [0, HOUR_MS, -2 * HOUR_MS].map((ms) => uuidv7({ msecs: Date.now() + ms }));
  for (const id of ids) await store(id);
  const [asc, found] = [[...ids].sort(), (filter: TaskFilter) => idsOf(filter)];
  expect(await found({ createdAfter: fromNow(-MINUTE_MS) })).toEqual(asc);
  expect(await found({ createdBefore: fromNow(MINUTE_MS) })).toEqual(asc);
  expect(await found({ createdAfter: fromNow(MINUTE_MS) })).toEqual([]);
  expect(await found({ createdBefore: fromNow(-MINUTE_MS) })).toEqual([]);
  const { lead, lag } = await drift();
  expect(lead).toBeGreaterThan(HOUR_MS - MINUTE_MS);
  expect(lead).toBeLessThan(HOUR_MS + MINUTE_MS);
  expect(lag).toBeGreaterThan(2 * HOUR_MS - MINUTE_MS);
  expect(lag).toBeLessThan(2 * HOUR_MS + MINUTE_MS);
});

function fromNow(ms: number): Date {
  return new Date(Date.now() + ms);
}

async function store(id: string): Promise<void> {
  const task = newTaskSchema(handlers).parse({ title: 'a test' });
  await insertTasks(app.database, [{ ...task, id, inputHash: null }], 'NEW');
}

async function idsOf(filter: TaskFilter): Promise<string[]> {
  const { tasks } = await listTasks(app.database, filter, { limit: 10, fromOldest: true });
  return tasks.map(({ id }) => id).reverse();
}

async function drift(): Promise<{ lead: number; lag: number }> {
  const text = 'select lead_ms::int as lead, lag_ms::int as lag from id_drift';
  const [row] = await app.database.run<{ lead: number; lag: number }>({ text });
  return row ?? { lead: 0, lag: 0 };
}

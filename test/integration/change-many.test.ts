import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import { parseInput } from '../../src/domain/parse.ts';
import type { TaskStatus } from '../../src/domain/task.ts';
import type { TaskFilter } from '../../src/domain/task-filter.ts';
import { cancel, claim } from '../../src/domain/transitions.ts';
import type { Advance } from '../../src/tasks/advance.ts';
import { createTaskService } from '../../src/tasks/task-service.ts';
import type { TaskHandler } from '../../src/worker/handler.ts';
import { graphql } from '../generated/gql.ts';
import { startGraphqlApi } from '../support/graphql-api.ts';
import { createInbox } from '../support/inbox.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const CancelTasks = graphql(/* GraphQL */ `
  mutation CancelTasks($filter: TaskFilter!, $reason: String) {
    cancelTasks(filter: $filter, reason: $reason) {
      count
    }
  }
`);

const RetryTasks = graphql(/* GraphQL */ `
  mutation RetryTasks($filter: TaskFilter!) {
    retryTasks(filter: $filter) {
      count
    }
  }
`);

const WORKER = '01890000-0000-7000-8000-00000000000f';
const LATER = new Date(Date.now() + 3_600_000);
/** More than two batches. */
const MANY = 1_200;

test('of 1,200 tasks all that match and are not final are cancelled, and all of those are retried', async () => {
  const app = await startGraphqlApi();
  const ids = await createMany(app, MANY);
  const final = ids.slice(500, 600);
  await app.advance(final.map((id) => cancel(id)));
  await app.advance(ids.slice(100, 110).map((id) => claim(id, WORKER)));
  const waiting = await createMany(app, 7, { runAt: LATER });
  const [other] = await createMany(app, 1, { title: 'another one' });

  const filter = { search: 'one of many' };
  const { data } = await app.ask(CancelTasks, { filter, reason: 'a flood' });
  expect(data?.cancelTasks.count).toBe(MANY - final.length + waiting.length);
  expect(await countByStatus(app)).toEqual({ CANCELLED: MANY + waiting.length, PENDING: 1 });
  expect((await app.service.get(other ?? '')).status).toBe('PENDING');
  const reasons = await app.database.run({
    text: "select from task_events where status = 'CANCELLED' and reason = 'a flood'",
  });
  expect(reasons).toHaveLength(MANY - final.length + waiting.length);
  expect((await app.ask(CancelTasks, { filter })).data?.cancelTasks.count).toBe(0);

  const retried = await app.ask(RetryTasks, { filter: { status: ['CANCELLED', 'PENDING'] } });
  expect(retried.data?.retryTasks.count).toBe(MANY + waiting.length);
  expect(await countByStatus(app)).toEqual({ NEW: MANY + waiting.length, PENDING: 1 });
});

test('cancelling many aborts those that run', async () => {
  const started = createInbox<AbortSignal>();
  const probe: TaskHandler = {
    description: 'a test',
    async run({ signal }) {
      started.put(signal);
      await sleep(60_000, undefined, { signal });
    },
  };
  const app = await startTestService({ taskTypes: { probe } });
  await app.startWorker({ handlers: { probe }, slots: { MEDIUM: 2 } });
  await Promise.all([1, 2, 3, 4].map(() => app.create({ type: 'probe' })));
  const signals = [await started.take(), await started.take()];
  const aborted = signals.map(
    (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
  );
  expect(await app.service.cancelMany({ type: ['probe'] })).toBe(4);
  await Promise.all(aborted);
  expect(await countByStatus(app)).toEqual({ CANCELLED: 4 });
});

test('a task that is created after the call began is left alone', async () => {
  const app = await startTestService();
  await createMany(app, 600);
  const late: string[] = [];
  const service = serviceWith(app, async (transitions) => {
    late.push((await app.create({ title: 'one of many, late' })).id);
    return app.advance(transitions);
  });
  expect(await service.cancelMany({ search: 'one of many' })).toBe(600);
  expect(late).toHaveLength(2);
  expect(await countByStatus(app)).toEqual({ CANCELLED: 600, PENDING: 2 });
});

test('a task that leaves the statuses asked for at the last moment is left alone', async () => {
  const app = await startTestService();
  const [first = '', second = ''] = await createMany(app, 2);
  const service = serviceWith(app, async (transitions) => {
    await app.advance([claim(second, WORKER)]);
    return app.advance(transitions);
  });
  expect(await service.cancelMany({ status: ['PENDING'] })).toBe(1);
  expect((await app.service.get(first)).status).toBe('CANCELLED');
  expect((await app.service.get(second)).status).toBe('IN_PROGRESS');
});

test.each<[string, TaskFilter]>([
  ['no status', { status: [] }],
  ['only final ones', { status: ['COMPLETED', 'FAILED'] }],
  ['no id', { ids: [] }],
])('a filter with %s cancels nothing', async (_what, filter) => {
  const app = await startTestService();
  await app.create();
  expect(await app.service.cancelMany(filter)).toBe(0);
});

async function createMany(
  app: TestService,
  count: number,
  input: Record<string, unknown> = {},
): Promise<string[]> {
  const newTask = parseInput(newTaskSchema({ simulate: { description: '' } }), {
    title: 'one of many',
    ...input,
  });
  const created = await app.service.createMany(Array.from({ length: count }, () => newTask));
  return created.map(({ task }) => task.id);
}

/** The service with something happening before each batch. */
function serviceWith({ database, broker }: TestService, advance: Advance) {
  return createTaskService({ database, broker, advance });
}

async function countByStatus({ database }: TestService): Promise<Record<string, number>> {
  const rows = await database.run<{ status: TaskStatus; count: number }>({
    text: 'select status, count(*)::int as count from tasks group by status',
  });
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

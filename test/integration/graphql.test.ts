import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { graphql } from '../generated/gql.ts';
import type { ListTasksQuery, TaskFilter } from '../generated/graphql.ts';
import { type GraphqlApi, startGraphqlApi } from '../support/graphql-api.ts';

const CreateTask = graphql(/* GraphQL */ `
  mutation CreateTask($input: CreateTaskInput!) {
    createTask(input: $input) {
      id
      title
      description
      priority
      status
      type
      payload
      result
      error {
        message
      }
      attempt
      maxAttempts
      progress
      progressMessage
      version
      createdAt
      runAt
      startedAt
      finishedAt
    }
  }
`);

const CreateTasks = graphql(/* GraphQL */ `
  mutation CreateTasks($input: [CreateTaskInput!]!) {
    createTasks(input: $input) {
      id
      title
      events {
        status
      }
    }
  }
`);

const GetTask = graphql(/* GraphQL */ `
  query GetTask($id: ID!) {
    task(id: $id) {
      id
      status
      attempts {
        number
        workerId
        startedAt
        finishedAt
        outcome
        error {
          name
          message
          attempt
        }
      }
      events {
        cursor
        taskId
        version
        status
        previousStatus
        attempt
        at
        reason
        task {
          id
          status
        }
      }
    }
  }
`);

const ListTasks = graphql(/* GraphQL */ `
  query ListTasks($filter: TaskFilter, $first: Int, $after: String, $last: Int, $before: String) {
    tasks(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
      edges {
        cursor
        node {
          title
        }
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`);

const CountTasks = graphql(/* GraphQL */ `
  query CountTasks($filter: TaskFilter) {
    tasks(filter: $filter) {
      totalCount
    }
  }
`);

const TaskHistories = graphql(/* GraphQL */ `
  query TaskHistories {
    tasks(first: 100) {
      edges {
        node {
          events {
            version
          }
          attempts {
            number
          }
        }
      }
    }
  }
`);

const CancelTask = graphql(/* GraphQL */ `
  mutation CancelTask($id: ID!, $reason: String) {
    cancelTask(id: $id, reason: $reason) {
      status
      events {
        status
        reason
      }
    }
  }
`);

const RetryTask = graphql(/* GraphQL */ `
  mutation RetryTask($id: ID!) {
    retryTask(id: $id) {
      status
      maxAttempts
    }
  }
`);

const NOBODY = '00000000-0000-7000-8000-000000000000';

test('a new task has every default, and is PENDING once it is handed over', async () => {
  const { ask } = await startGraphqlApi();
  const { data } = await ask(CreateTask, { input: { title: 'a' } });
  expect(data?.createTask).toMatchObject({
    title: 'a',
    description: '',
    priority: 'MEDIUM',
    status: 'PENDING',
    type: 'simulate',
    payload: null,
    result: null,
    error: null,
    attempt: 0,
    maxAttempts: 3,
    progress: null,
    progressMessage: null,
    startedAt: null,
    finishedAt: null,
  });
  expect(data?.createTask.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('null means the same as left out', async () => {
  const { ask } = await startGraphqlApi();
  const input = { title: 'a', priority: null, description: null, payload: null, runAt: null };
  const { data } = await ask(CreateTask, { input });
  expect(data?.createTask).toMatchObject({ priority: 'MEDIUM', description: '', payload: null });
});

test('a time with an offset comes back in UTC, and one ahead leaves the task NEW', async () => {
  const { ask } = await startGraphqlApi();
  const ahead = new Date(Date.now() + 3_600_000).toISOString().slice(0, 19);
  const { data } = await ask(CreateTask, { input: { title: 'a', runAt: `${ahead}.5+01:30` } });
  const expected = new Date(Date.parse(`${ahead}.500Z`) - 5_400_000).toISOString();
  expect(data?.createTask.runAt).toBe(expected);
});

test('a batch is answered in the order of its input, with the history of each', async () => {
  const { ask } = await startGraphqlApi();
  const input = Array.from({ length: 50 }, (_, index) => ({ title: `task ${index}` }));
  const { data } = await ask(CreateTasks, { input });
  expect(data?.createTasks.map(({ title }) => title)).toEqual(input.map(({ title }) => title));
  expect(data?.createTasks[49]?.events).toEqual([{ status: 'NEW' }, { status: 'PENDING' }]);
});

test('the same idempotency key gives the same task, and with other input a conflict', async () => {
  const { ask } = await startGraphqlApi();
  const input = { title: 'a', idempotencyKey: 'key' };
  const first = await ask(CreateTask, { input });
  const again = await ask(CreateTask, { input });
  expect(again.data?.createTask.id).toBe(first.data?.createTask.id);
  const { errors } = await ask(CreateTask, { input: { ...input, title: 'b' } });
  expect(errors?.[0]?.extensions?.code).toBe('IDEMPOTENCY_CONFLICT');
});

test('a task tells its runs and its history', async () => {
  const api = await startGraphqlApi();
  const worker = await api.startWorker();
  const payload = { durationMs: 1, failAttempts: 1, error: 'boom' };
  const { id } = await api.create({ payload, maxAttempts: 1 });
  await api.follow(id);

  const { data } = await api.ask(GetTask, { id });
  expect(data?.task?.status).toBe('FAILED');
  expect(data?.task?.attempts).toEqual([
    {
      number: 1,
      workerId: expect.any(String),
      startedAt: expect.any(String),
      finishedAt: expect.any(String),
      outcome: 'FAILED',
      error: { name: expect.any(String), message: expect.stringContaining('boom'), attempt: 1 },
    },
  ]);
  expect(
    data?.task?.events.map((event) => [event.version, event.previousStatus, event.status]),
  ).toEqual([
    [1, null, 'NEW'],
    [2, 'NEW', 'PENDING'],
    [3, 'PENDING', 'IN_PROGRESS'],
    [4, 'IN_PROGRESS', 'FAILED'],
  ]);
  expect(data?.task?.events[0]).toMatchObject({ taskId: id, attempt: 0, task: { id } });
  await worker.stop(0);
});

test('a run that goes on has neither end nor outcome', async () => {
  const api = await startGraphqlApi();
  await api.startWorker();
  const { id } = await api.create({ payload: { durationMs: 60_000 } });
  for await (const { event } of await api.feed.watchTask(id)) {
    if (event.status === 'IN_PROGRESS') break;
  }
  const { data } = await api.ask(GetTask, { id });
  const open = { number: 1, finishedAt: null, outcome: null, error: null };
  expect(data?.task?.attempts).toMatchObject([open]);
});

test('an unknown task is null, whatever the case of its id a known one is found', async () => {
  const { ask, create } = await startGraphqlApi();
  expect(await ask(GetTask, { id: NOBODY })).toEqual({ data: { task: null } });
  const { id } = await create();
  const { data } = await ask(GetTask, { id: id.toUpperCase() });
  expect(data?.task?.id).toBe(id);
});

test('cancelling keeps the reason, and works once', async () => {
  const { ask, create } = await startGraphqlApi();
  const { id } = await create();
  const { data } = await ask(CancelTask, { id, reason: 'no need' });
  expect(data?.cancelTask.status).toBe('CANCELLED');
  expect(data?.cancelTask.events.at(-1)).toEqual({ status: 'CANCELLED', reason: 'no need' });
  const { errors } = await ask(CancelTask, { id });
  expect(errors?.[0]?.extensions).toEqual({ code: 'TASK_NOT_CANCELLABLE' });
});

test('retrying adds the attempts that the task was created with', async () => {
  const { ask, create } = await startGraphqlApi();
  const { id } = await create({ maxAttempts: 2 });
  const refused = await ask(RetryTask, { id });
  expect(refused.errors?.[0]?.extensions).toEqual({ code: 'TASK_NOT_RETRYABLE' });
  await ask(CancelTask, { id });
  const { data } = await ask(RetryTask, { id });
  expect(data?.retryTask).toEqual({ status: 'NEW', maxAttempts: 4 });
});

test('changing a task that is not there is TASK_NOT_FOUND', async () => {
  const { ask } = await startGraphqlApi();
  for (const { errors } of [
    await ask(CancelTask, { id: NOBODY }),
    await ask(RetryTask, { id: NOBODY }),
  ]) {
    expect(errors?.[0]?.extensions).toEqual({ code: 'TASK_NOT_FOUND' });
  }
});

test('reading forwards sees each task once, newest first, while tasks are added', async () => {
  const api = await startGraphqlApi();
  await createTitles(api, ['1', '2', '3', '4', '5']);
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const page: Connection | undefined = (await api.ask(ListTasks, { first: 2, after })).data
      ?.tasks;
    seen.push(...titlesOf(page));
    expect(page?.pageInfo.hasPreviousPage).toBe(after !== null);
    after = page?.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
    await createTitles(api, ['added']);
  } while (after !== null);
  expect(seen).toEqual(['5', '4', '3', '2', '1']);
});

test('reading backwards sees each task once, from the oldest on, and what was added at the end', async () => {
  const api = await startGraphqlApi();
  await createTitles(api, ['1', '2', '3', '4', '5']);
  const first = await api.ask(ListTasks, { last: 2 });
  expect(titlesOf(first.data?.tasks)).toEqual(['2', '1']);
  expect(first.data?.tasks.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  await createTitles(api, ['6']);
  const before = first.data?.tasks.pageInfo.startCursor;
  const second = await api.ask(ListTasks, { last: 10, before });
  expect(titlesOf(second.data?.tasks)).toEqual(['6', '5', '4', '3']);
  expect(second.data?.tasks.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
});

test('whoever names a place knows that the list goes on behind it', async () => {
  const api = await startGraphqlApi();
  await createTitles(api, ['1', '2', '3']);
  const all = (await api.ask(ListTasks, {})).data?.tasks;
  const before = all?.pageInfo.endCursor ?? null;
  const newer = await api.ask(ListTasks, { before });
  expect(titlesOf(newer.data?.tasks)).toEqual(['3', '2']);
  expect(newer.data?.tasks.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
  const after = all?.pageInfo.startCursor ?? null;
  const older = await api.ask(ListTasks, { after });
  expect(older.data?.tasks.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
});

test('a variable that is not given leaves its field out of a literal', async () => {
  const api = await startGraphqlApi();
  const { data } = await api.ask(
    'mutation ($ms: Int) { createTask(input: { title: "x", payload: { durationMs: $ms } }) { payload } }',
  );
  expect(data).toEqual({ createTask: { payload: {} } });
});

test('a page has 20 tasks when nothing is said, and one of nothing has no cursors', async () => {
  const api = await startGraphqlApi();
  const empty = await api.ask(ListTasks, {});
  expect(empty.data?.tasks).toEqual({
    edges: [],
    pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
  });
  await createTitles(api, Array.from({ length: 21 }, String));
  const { data } = await api.ask(ListTasks, {});
  expect(data?.tasks.edges).toHaveLength(20);
  expect(data?.tasks.pageInfo.hasNextPage).toBe(true);
});

test('a filter selects, and the count is of all pages', async () => {
  const api = await startGraphqlApi();
  await api.create({ title: 'red car', priority: 'HIGH' });
  const { id } = await api.create({ title: 'blue car', priority: 'LOW' });
  await api.service.cancel(id);
  const cases: [TaskFilter, string[]][] = [
    [{ search: 'CAR' }, ['blue car', 'red car']],
    [{ status: ['CANCELLED'] }, ['blue car']],
    [{ priority: ['HIGH', 'LOW'], search: 'red' }, ['red car']],
    [{ ids: [id] }, ['blue car']],
    [{ ids: [] }, []],
    [{ type: ['other'] }, []],
    [{ createdAfter: '2100-01-01T00:00:00Z' }, []],
  ];
  for (const [filter, titles] of cases) {
    const list = await api.ask(ListTasks, { filter, first: 10 });
    expect(titlesOf(list.data?.tasks)).toEqual(titles);
    const count = await api.ask(CountTasks, { filter });
    expect(count.data?.tasks.totalCount).toBe(titles.length);
  }
});

test('the histories of a page of tasks are read at once, not one by one', async () => {
  const api = await startGraphqlApi();
  await api.ask(CreateTasks, { input: Array.from({ length: 100 }, () => ({ title: 'a' })) });
  const statements = vi.spyOn(pg.Client.prototype, 'query');
  onTestFinished(() => statements.mockRestore());
  const { data } = await api.ask(TaskHistories);
  expect(data?.tasks.edges).toHaveLength(100);
  expect(data?.tasks.edges.every(({ node }) => node.events.length === 2)).toBe(true);
  expect(statements.mock.calls.length).toBeLessThan(10);
});

test('a failure that nobody foresaw is masked, and logged once', async () => {
  const api = await startGraphqlApi();
  const { id } = await api.create();
  await api.database.run({ text: 'alter table task_events rename to elsewhere' });
  const { data, errors } = await api.ask(GetTask, { id });
  expect(data?.task ?? null).toBeNull();
  expect(errors).toHaveLength(1);
  expect(errors?.[0]?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR' });
  expect(JSON.stringify(errors)).not.toMatch(/task_events|prisma|stack/i);
  expect(api.logs.lines.all.filter(({ level }) => level === 'error')).toHaveLength(1);
});

async function createTitles(api: GraphqlApi, titles: string[]): Promise<void> {
  for (const title of titles) await api.create({ title });
}

type Connection = ListTasksQuery['tasks'];

function titlesOf(page: Connection | undefined): string[] {
  return page?.edges.map(({ node }) => node.title) ?? [];
}

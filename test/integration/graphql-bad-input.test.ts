import { afterEach, expect, test } from 'vitest';
import { type GraphqlAnswer, type GraphqlApi, startGraphqlApi } from '../support/graphql-api.ts';

const CREATE = 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }';
const CREATE_MANY = 'mutation ($input: [CreateTaskInput!]!) { createTasks(input: $input) { id } }';
const LIST =
  'query ($filter: TaskFilter, $first: Int, $last: Int, $after: String, $before: String) { tasks(filter: $filter, first: $first, last: $last, after: $after, before: $before) { totalCount } }';
const CANCEL =
  'mutation ($id: ID!, $reason: String) { cancelTask(id: $id, reason: $reason) { id } }';
const CANCEL_MANY =
  'mutation ($filter: TaskFilter!, $reason: String) { cancelTasks(filter: $filter, reason: $reason) { count } }';
const RETRY_MANY = 'mutation ($filter: TaskFilter!) { retryTasks(filter: $filter) { count } }';
const WATCH =
  'subscription ($id: ID, $filter: TaskFilter, $after: String) { taskStatusChanged(id: $id, filter: $filter, after: $after) { status } }';

const NOBODY = '00000000-0000-7000-8000-000000000000';
const YEAR_AND_A_DAY = new Date(Date.now() + 367 * 86_400_000).toISOString();
const IN_1_HOUR = new Date(Date.now() + 3_600_000).toISOString();
const IN_2_HOURS = new Date(Date.now() + 7_200_000).toISOString();

let api: GraphqlApi | undefined;

async function start(): Promise<GraphqlApi> {
  api = await startGraphqlApi();
  return api;
}

afterEach(async () => {
  if (api === undefined) return;
  expect(api.logs.lines.all.filter(({ level }) => level === 'error')).toEqual([]);
});

const title = 'a';

const BAD_TASKS: [string, Record<string, unknown>, string][] = [
  ['an empty title', { title: '' }, 'title'],
  ['a blank title', { title: ' \t' }, 'title'],
  ['no title', {}, 'title'],
  ['a title that is null', { title: null }, 'title'],
  ['a title that is no text', { title: 5 }, 'title'],
  ['a title over 255 characters', { title: 'x'.repeat(256) }, 'title'],
  ['a NUL in the title', { title: 'a\0b' }, 'title'],
  ['half a surrogate pair in the title', { title: 'a\ud800' }, 'title'],
  [
    'a description over 10,000 characters',
    { title, description: 'x'.repeat(10_001) },
    'description',
  ],
  ['a NUL in the description', { title, description: '\0' }, 'description'],
  ['an unknown priority', { title, priority: 'URGENT' }, 'priority'],
  ['a priority in lower case', { title, priority: 'high' }, 'priority'],
  ['an unknown type', { title, type: 'no such handler' }, 'type'],
  ['an empty type', { title, type: '' }, 'type'],
  ['a name that every object has as type', { title, type: 'constructor' }, 'type'],
  ['an unknown field', { title, colour: 'red' }, 'colour'],
  ['a payload over 256 KiB', { title, payload: { text: 'x'.repeat(256 * 1024) } }, 'payload'],
  ['a NUL within the payload', { title, payload: { 'a\0': 1 } }, 'payload'],
  ['half a surrogate pair within the payload', { title, payload: ['\udfff'] }, 'payload'],
  ['a payload nested deeper than 100 levels', { title, payload: nested(101) }, 'payload'],
  ['a payload that does not fit the type', { title, payload: { durationMs: 'long' } }, 'payload'],
  ['runAt over a year ahead', { title, runAt: YEAR_AND_A_DAY }, 'runAt'],
  ['runAt without an offset', { title, runAt: '2030-01-01T00:00:00' }, 'runAt'],
  ['runAt on a day that does not exist', { title, runAt: '2030-02-30T00:00:00Z' }, 'runAt'],
  ['runAt as a number', { title, runAt: 1_700_000_000_000 }, 'runAt'],
  ['runAt as a word', { title, runAt: 'tomorrow' }, 'runAt'],
  ['no attempts', { title, maxAttempts: 0 }, 'maxAttempts'],
  ['101 attempts', { title, maxAttempts: 101 }, 'maxAttempts'],
  ['half an attempt', { title, maxAttempts: 1.5 }, 'maxAttempts'],
  ['more attempts than an Int can hold', { title, maxAttempts: 2 ** 40 }, 'maxAttempts'],
  ['a deadline that has passed', { title, expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
  ['a deadline over a year ahead', { title, expiresAt: YEAR_AND_A_DAY }, 'expiresAt'],
  ['a deadline before runAt', { title, runAt: IN_2_HOURS, expiresAt: IN_1_HOUR }, 'expiresAt'],
  ['two deadlines', { title, expiresAt: IN_1_HOUR, ttlSeconds: 60 }, 'ttlSeconds'],
  ['no time to live', { title, ttlSeconds: 0 }, 'ttlSeconds'],
  ['over a year to live', { title, ttlSeconds: 31_622_401 }, 'ttlSeconds'],
  ['a retry that multiplies by less than 1', { title, retry: { factor: 0.5 } }, 'retry'],
  ['a retry after over a day', { title, retry: { baseSeconds: 86_401 } }, 'retry'],
  ['a retry with an unknown field', { title, retry: { limit: 1 } }, 'retry'],
  ['a timeout of no time', { title, timeoutSeconds: 0 }, 'timeoutSeconds'],
  ['an empty idempotency key', { title, idempotencyKey: '' }, 'idempotencyKey'],
];

test('whatever is wrong with a task is refused by name, and nothing is stored', async () => {
  const { ask, service } = await start();
  for (const [what, input, field] of BAD_TASKS) {
    const { errors } = await ask(CREATE, { input });
    expect(errors, what).toHaveLength(1);
    expect(errors?.[0]?.extensions, what).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(issuesOf(errors)[0]?.path.slice(0, 2), what).toEqual(['input', field]);
    expect(errors?.[0]?.message, what).toContain(`input.${field}`);
  }
  expect(await service.count({})).toBe(0);
});

test('everything that is wrong is told at once', async () => {
  const { ask } = await start();
  const { errors } = await ask(CREATE, { input: { priority: 'X', runAt: 'x', colour: 1 } });
  expect(issuesOf(errors)).toEqual([
    { path: ['input', 'colour'], message: 'is not a known field' },
    { path: ['input', 'title'], message: 'is required' },
    { path: ['input', 'priority'], message: 'must be one of HIGH, MEDIUM, LOW' },
    { path: ['input', 'runAt'], message: expect.stringContaining('RFC 3339') },
  ]);
});

test('a path leads from the argument, whatever the variable is called', async () => {
  const { ask } = await start();
  const whole = 'mutation ($x: CreateTaskInput!) { createTask(input: $x) { id } }';
  expect(issuesOf((await ask(whole, { x: {} })).errors)[0]?.path).toEqual(['input', 'title']);
  const part =
    'mutation ($x: TaskPriority) { createTasks(input: [{ title: "a" }, { title: "b", priority: $x }]) { id } }';
  expect(issuesOf((await ask(part, { x: 'X' })).errors)[0]?.path).toEqual(['input', 1, 'priority']);
});

test('one bad task in a batch is named by its place, and none is stored', async () => {
  const { ask, service } = await start();
  const input = [{ title: 'a' }, { title: 'b', maxAttempts: 0 }];
  const { errors } = await ask(CREATE_MANY, { input });
  expect(issuesOf(errors)[0]?.path).toEqual(['input', 1, 'maxAttempts']);
  const wrong = await ask(CREATE_MANY, { input: [{ title: 'a' }, { title: 'b', priority: 'X' }] });
  expect(issuesOf(wrong.errors)[0]?.path).toEqual(['input', 1, 'priority']);
  expect(await service.count({})).toBe(0);
});

test('a batch of no task or of more than 1,000 is refused', async () => {
  const { ask, service } = await start();
  for (const count of [0, 1_001]) {
    const input = Array.from({ length: count }, () => ({ title: 'a' }));
    const { errors } = await ask(CREATE_MANY, { input });
    expect(errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
    expect(issuesOf(errors)[0]?.path).toEqual(['input']);
  }
  expect(await service.count({})).toBe(0);
});

const BAD_ARGUMENTS: [string, string, Record<string, unknown>, (string | number)[]][] = [
  ['first: 0', LIST, { first: 0 }, ['first']],
  ['first: 101', LIST, { first: 101 }, ['first']],
  ['last: -1', LIST, { last: -1 }, ['last']],
  ['first with last', LIST, { first: 1, last: 1 }, ['last']],
  ['a foreign cursor', LIST, { after: 'x' }, ['after']],
  [
    'a cursor of a malformed id',
    LIST,
    { before: Buffer.from('task:1').toString('base64url') },
    ['before'],
  ],
  ['an unknown status', LIST, { filter: { status: ['DONE'] } }, ['filter', 'status', 0]],
  [
    'an id in a filter that is no UUID',
    LIST,
    { filter: { ids: [NOBODY, 'x'] } },
    ['filter', 'ids', 1],
  ],
  ['an empty search', LIST, { filter: { search: '' } }, ['filter', 'search']],
  ['a NUL in a search', LIST, { filter: { search: '\0' } }, ['filter', 'search']],
  ['an unknown filter', LIST, { filter: { owner: 'me' } }, ['filter', 'owner']],
  ['a malformed UUID', CANCEL, { id: 'x' }, ['id']],
  ['a reason over 1,000 characters', CANCEL, { id: NOBODY, reason: 'x'.repeat(1_001) }, ['reason']],
  ['a NUL in a reason', CANCEL, { id: NOBODY, reason: '\0' }, ['reason']],
  ['cancelling whatever there is', CANCEL_MANY, { filter: {} }, ['filter']],
  ['cancelling by conditions that are null', CANCEL_MANY, { filter: { ids: null } }, ['filter']],
  ['cancelling by nothing', CANCEL_MANY, { filter: null }, ['filter']],
  [
    'cancelling many for a reason over 1,000 characters',
    CANCEL_MANY,
    { filter: { type: ['a'] }, reason: 'x'.repeat(1_001) },
    ['reason'],
  ],
  ['retrying whatever there is', RETRY_MANY, { filter: {} }, ['filter']],
  ['watching a malformed UUID', WATCH, { id: 'x' }, ['id']],
  ['watching with a foreign cursor', WATCH, { after: 'x' }, ['after']],
  ['watching with both id and filter', WATCH, { id: NOBODY, filter: {} }, ['filter']],
];

test('whatever is wrong with another argument is refused by name', async () => {
  const { ask } = await start();
  for (const [what, query, variables, path] of BAD_ARGUMENTS) {
    const { errors } = await ask(query, variables);
    expect(errors?.[0]?.extensions?.code, what).toBe('BAD_USER_INPUT');
    expect(issuesOf(errors)[0]?.path, what).toEqual(path);
  }
});

test('a literal that does not fit is named like a variable', async () => {
  const { ask } = await start();
  const { errors } = await ask(
    'mutation { createTask(input: { title: "a", priority: URGENT }) { id } }',
  );
  expect(errors?.[0]?.extensions?.code).toBe('GRAPHQL_VALIDATION_FAILED');
  expect(errors?.[0]?.message).toContain('input.priority');
  expect(issuesOf(errors)[0]?.path).toEqual(['input', 'priority']);
});

test('a malformed UUID in a query is refused', async () => {
  const { ask } = await start();
  const { errors } = await ask('{ task(id: "42") { id } }');
  expect(errors?.[0]).toMatchObject({ path: ['task'], extensions: { code: 'BAD_USER_INPUT' } });
});

test('thousands of things wrong with variables get an answer of bounded size, soon', async () => {
  const { post } = await start();
  const many = 200_000;
  const unknown = Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`field${i}`, 1]));
  const requests: [string, Record<string, unknown>][] = [
    [CREATE, { input: { title, ...unknown } }],
    [CREATE_MANY, { input: new Array(many).fill(5) }],
    [LIST, { filter: { status: new Array(many).fill('x') } }],
  ];
  for (const [query, variables] of requests) {
    const body = JSON.stringify({ query, variables });
    const before = process.cpuUsage();
    const text = await (await post(body)).text();
    const { user } = process.cpuUsage(before);
    expect(text.length).toBeLessThan(100_000);
    expect(issuesOf(JSON.parse(text).errors)).toHaveLength(100);
    // Microseconds. To quote the first of them fifty times took four seconds.
    expect(user).toBeLessThan(1_000_000);
  }
});

test('a variable that is called like what every object has is not given by that', async () => {
  const { ask } = await start();
  const { errors } = await ask(
    'query ($toString: String, $constructor: Int = 3) { tasks(first: $constructor) { totalCount edges { cursor } } task(id: "01890000-0000-7000-8000-000000000000") { title @skip(if: false) } a: tasks(after: $toString) { totalCount } }',
  );
  expect(errors).toBeUndefined();
});

test('bytes that are not UTF-8 are refused, and nothing is stored', async () => {
  const { post, service } = await start();
  const body = `{"query":"mutation { createTask(input: { title: \\"b\xfad\\" }) { id } }"}`;
  const response = await post(Buffer.from(body, 'latin1'));
  expect(response.status).toBe(400);
  expect(await response.text()).toContain('not valid UTF-8');
  expect(await service.count({})).toBe(0);
  const marked = await post(Buffer.from('\ufeff{"query":"{ __typename }"}'));
  expect(await marked.json()).toEqual({ data: { __typename: 'Query' } });
});

const BAD_REQUESTS: [string, string, Record<string, string>, number][] = [
  ['malformed JSON', '{"query":', {}, 400],
  ['JSON that is no object', '"{ __typename }"', {}, 400],
  ['a batch of operations', '[{"query":"{ __typename }"}]', {}, 400],
  ['no query', '{}', { accept: 'application/graphql-response+json' }, 400],
  ['an unknown parameter', '{"query":"{ __typename }","colour":"red"}', {}, 400],
  ['another content type', 'query', { 'content-type': 'text/plain' }, 415],
  ['a form with files', 'x', { 'content-type': 'multipart/form-data; boundary=x' }, 415],
  [
    'a form with malformed JSON',
    'query={__typename}&variables=x',
    { 'content-type': 'application/x-www-form-urlencoded' },
    400,
  ],
  ['a body over 1 MiB', JSON.stringify({ query: '#'.repeat(1024 * 1024) }), {}, 413],
];

test('a request that is no GraphQL gets a status, a sentence and a code', async () => {
  const { post } = await start();
  for (const [what, body, headers, status] of BAD_REQUESTS) {
    const response = await post(body, headers);
    expect(response.status, what).toBe(status);
    const { errors } = (await response.json()) as GraphqlAnswer<unknown>;
    expect(errors?.[0]?.message, what).toBeTruthy();
    expect(errors?.[0]?.extensions, what).toMatchObject({ code: expect.any(String) });
    expect(JSON.stringify(errors), what).not.toContain('node_modules');
  }
});

const BAD_DOCUMENTS: [string, string, string][] = [
  ['a syntax error', '{ tasks {', 'GRAPHQL_PARSE_FAILED'],
  ['an unknown field', '{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
  [
    'lists nested 100,000 deep',
    `{ task(id: ${'['.repeat(100_000)}) { id } }`,
    'GRAPHQL_PARSE_FAILED',
  ],
  [
    'objects nested 100,000 deep',
    `{ task(id: ${'{a:'.repeat(100_000)}1) { id } }`,
    'GRAPHQL_PARSE_FAILED',
  ],
  ['selections nested 100,000 deep', '{a'.repeat(100_000), 'GRAPHQL_PARSE_FAILED'],
  ['more tokens than anyone needs', `{ ${'a '.repeat(60_000)} }`, 'GRAPHQL_PARSE_FAILED'],
  [
    'more fields than anyone needs',
    `{ ${Array.from({ length: 3_000 }, (_, i) => `a${i}: __typename`).join(' ')} }`,
    'GRAPHQL_VALIDATION_FAILED',
  ],
  [
    'a cycle through the graph',
    '{ tasks { edges { node { events { task { events { version } } } } } } }',
    'GRAPHQL_VALIDATION_FAILED',
  ],
  [
    'a cycle hidden in fragments',
    '{ tasks { edges { ...E } } } fragment E on TaskEdge { node { ...T } } fragment T on Task { events { task { ...T } } }',
    'GRAPHQL_VALIDATION_FAILED',
  ],
  ['full pages by the hundred', pages(201, '100'), 'GRAPHQL_VALIDATION_FAILED'],
  ['pages of any size by the hundred', pages(201, '$first'), 'GRAPHQL_VALIDATION_FAILED'],
  [
    'pages that make room for others',
    pages(201, '100', 'b: tasks(first: -30000) { edges { cursor } }'),
    'GRAPHQL_VALIDATION_FAILED',
  ],
  ['fragments that double and double', doublingFragments(40), 'GRAPHQL_VALIDATION_FAILED'],
];

test('a document that is wrong, or would cost too much, is refused', async () => {
  const { ask } = await start();
  for (const [what, query, code] of BAD_DOCUMENTS) {
    const { errors } = await ask(query);
    expect(errors?.[0]?.extensions?.code, what).toBe(code);
  }
});

test('a full page of tasks with all that belongs to them is not too much', async () => {
  const { ask } = await start();
  const { errors } = await ask(
    '{ tasks(first: 100) { edges { node { attempts { number } events { version } } } } }',
  );
  expect(errors).toBeUndefined();
  expect((await ask(pages(200, '100'))).errors).toBeUndefined();
});

test('JSON nested 100,000 deep is refused by name, as a literal and as a variable', async () => {
  const { post, service } = await start();
  const payload = '['.repeat(100_000) + ']'.repeat(100_000);
  const variables = `{"input":{"title":"a","payload":${payload}}}`;
  const response = await post(`{"query":${JSON.stringify(CREATE)},"variables":${variables}}`);
  const { errors } = (await response.json()) as never;
  expect(issuesOf(errors)[0]).toEqual({
    path: ['input', 'payload'],
    message: 'must not be nested deeper than 100 levels',
  });
  expect(await service.count({})).toBe(0);
});

function nested(levels: number): unknown {
  return levels === 0 ? 1 : [nested(levels - 1)];
}

function pages(count: number, first: string, before = ''): string {
  const fields = Array.from({ length: count }, (_, n) => {
    return `a${n}: tasks(first: ${first}) { edges { cursor } }`;
  });
  return `query ${first.startsWith('$') ? '($first: Int)' : ''} { ${before} ${fields.join(' ')} }`;
}

function doublingFragments(levels: number): string {
  const fragments = Array.from({ length: levels }, (_, level) => {
    return `fragment F${level} on Query { ...F${level + 1} ...F${level + 1} }`;
  });
  return `{ ...F0 } ${fragments.join(' ')} fragment F${levels} on Query { __typename }`;
}

function issuesOf(errors: readonly { extensions?: Record<string, unknown> }[] | undefined) {
  const issues = errors?.[0]?.extensions?.issues;
  return (issues ?? []) as { path: (string | number)[]; message: string }[];
}

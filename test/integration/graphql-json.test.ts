import type { FastifyRequest } from 'fastify';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { createGraphqlServer } from '../../src/graphql/yoga.ts';
import { createAnswerJson } from '../../src/http/graphql-json.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { type GraphqlApi, startGraphqlApi } from '../support/graphql-api.ts';

const NO_TASK = '01890000-0000-7000-8000-000000000000';

const BODIES: Record<string, unknown> = {
  'a query': { query: '{ tasks { totalCount } }' },
  'a query with variables': {
    query: 'query One($id: ID!) { task(id: $id) { id } }',
    variables: { id: NO_TASK },
    operationName: 'One',
  },
  'a mutation that is refused': { query: `mutation { cancelTask(id: "${NO_TASK}") { id } }` },
  'bad input': { query: 'mutation { createTask(input: { title: "" }) { id } }' },
  'a bad variable': { query: 'query ($id: ID!) { task(id: $id) { id } }', variables: {} },
  'a field that is not there': { query: '{ nothing }' },
  'what is no GraphQL': { query: '{ tasks' },
  'no query': { variables: {} },
  'a query that is no string': { query: 1 },
  'variables that are no object': { query: '{ __typename }', variables: 'x' },
  'a parameter that is not known': { query: '{ __typename }', surprise: 1 },
  'a parameter that is nothing': { query: '{ __typename }', surprise: null },
  extensions: { query: '{ __typename }', extensions: { client: 'x' } },
  'extensions that are no object': { query: '{ __typename }', extensions: [] },
  'an operation name that is no string': { query: '{ __typename }', operationName: 1 },
  'an operation that is not there': { query: 'query A { __typename }', operationName: 'B' },
  'too much at once': { query: `{ ${'a: __typename '.repeat(5_000)} }` },
  'a subscription': { query: 'subscription { taskStatusChanged { cursor } }' },
  'several operations': [{ query: '{ __typename }' }],
  nothing: null,
};

let api: GraphqlApi;

beforeEach(async () => {
  api = await startGraphqlApi();
});

describe.each(['*/*', 'application/json', 'application/graphql-response+json'])(
  'answered with %s',
  (accept) => {
    test.each(Object.entries(BODIES))('%s is answered as Yoga answers it', async (_name, body) => {
      // The answer to a subscription is a stream, where that is accepted.
      if (accept === '*/*' && JSON.stringify(body)?.includes('subscription')) return;
      // A browser's requests go all of Yoga's way.
      const [short, again, long] = [
        await ask(body, { accept }),
        await ask(body, { accept }),
        await ask(body, { accept, origin: 'http://x' }),
      ];
      expect(short).toEqual(long);
      expect(again).toEqual(long);
      expect(short.text).not.toBe('');
    });
  },
);

test('a document that is known is refused all the same when the operation is not in it', async () => {
  const query = 'query A { __typename } query B { __typename }';
  expect(await ask({ query, operationName: 'A' }, {})).toMatchObject({ status: 200 });
  for (const body of [{ query, operationName: 'C' }, { query }]) {
    const answer = await ask(body, {});
    expect(answer).toEqual(await ask(body, { origin: 'http://x' }));
    expect(answer.text).toContain('OPERATION_RESOLUTION_FAILURE');
  }
});

test('a failure that nobody foresaw is masked', async () => {
  vi.spyOn(api.service, 'list').mockRejectedValue(new Error('secret'));
  const { status, text } = await ask({ query: '{ tasks { edges { node { id } } } }' }, {});
  expect(status).toBe(200);
  expect(text).toContain('INTERNAL_SERVER_ERROR');
  expect(text).not.toContain('secret');
});

test('so is one of the pipeline itself', async () => {
  const { service, feed, database, logs } = api;
  const { log } = logs;
  const { prisma } = database;
  const { yoga, maskError } = createGraphqlServer({
    service,
    feed,
    prisma,
    taskTypes: handlers,
    log,
  });
  const getEnveloped = () => {
    throw new Error('secret');
  };
  const broken = { fetchAPI: yoga.fetchAPI, getEnveloped } as unknown as typeof yoga;
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"query":"{ __typename }"}',
  };
  const answer = createAnswerJson({ yoga: broken, maskError });
  const answered = await answer(request as unknown as FastifyRequest);
  expect(answered?.text).toContain('INTERNAL_SERVER_ERROR');
  expect(answered?.text).not.toContain('secret');
});

test('an operation whose name is written in escapes is what it is', async () => {
  const text = JSON.stringify({ query: 'subscription { taskStatusChanged { cursor } }' });
  const escaped = text.replace('subscription', '\\u0073ubscription');
  const response = await api.post(escaped, { accept: 'application/json' });
  expect(response.status).toBe(406);
});

async function ask(body: unknown, headers: Record<string, string>) {
  const response = await api.post(JSON.stringify(body), headers);
  const type = response.headers.get('content-type');
  return {
    status: response.status,
    type,
    allow: response.headers.get('allow'),
    text: await response.text(),
  };
}

import type { FastifyRequest } from 'fastify';
import { isAsyncIterable, processRegularResult } from 'graphql-yoga';
import type { GraphqlServer } from '../graphql/yoga.ts';

/** Answers a request of the usual kind; undefined where it is of another, which Yoga's own handler has to answer. */
export type AnswerJson = (request: FastifyRequest) => Promise<Response | undefined>;

/**
 * Most requests by far are a POST of JSON to be answered with JSON. For them, what Yoga does to be at home on any server
 * costs more than all else that is done for a small query: here its pipeline (plugins, limits, masking, status codes) is
 * run without. Whatever is unusual about a request goes the long way: another media type, a browser's `Origin`, a
 * subscription, a body that is no JSON object.
 */
export function createAnswerJson({ yoga, maskError }: GraphqlServer): AnswerJson {
  // Plugins look at nothing but its method: it can stand for all.
  const anyPost = new yoga.fetchAPI.Request('http://localhost/graphql', { method: 'POST' });

  async function resultOf(params: object) {
    try {
      return await yoga.getResultForParams({ params, request: anyPost }, { answer: {} });
    } catch (error) {
      return { errors: [maskError(error)] };
    }
  }

  return async ({ method, headers, body }) => {
    const mediaType = ANSWERED_WITH.get(headers.accept ?? '*/*');
    if (method !== 'POST' || headers.origin !== undefined || mediaType === undefined) return;
    if (!IS_JSON.test(headers['content-type'] ?? '')) return;
    const params = parseParams(body);
    if (params === undefined) return;
    const result = await resultOf(params);
    if (result === undefined || isAsyncIterable(result)) throw new Error('That is no result.');
    return processRegularResult(result, yoga.fetchAPI, mediaType);
  };
}

const IS_JSON = /^application\/json(; ?charset=utf-8)?$/i;

/** By what the client accepts. */
const ANSWERED_WITH: ReadonlyMap<string, string> = new Map([
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['application/graphql-response+json', 'application/graphql-response+json'],
]);

/** What the body asks for, unless that may be a subscription, whose answer is a stream. */
function parseParams(body: unknown): object | undefined {
  if (typeof body !== 'string') return undefined;
  try {
    const params: unknown = JSON.parse(body);
    if (typeof params !== 'object' || params === null || Array.isArray(params)) return undefined;
    if ('query' in params && String(params.query).includes('subscription')) return undefined;
    return params;
  } catch {
    // Yoga has words for that.
    return undefined;
  }
}

import type { FastifyRequest } from 'fastify';
import { type DocumentNode, getOperationAST } from 'graphql';
import { isAsyncIterable, processRegularResult } from 'graphql-yoga';
import { createKnownDocuments } from '../graphql/known-documents.ts';
import type { GraphqlServer } from '../graphql/yoga.ts';

/** What a request is answered with. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  text: string;
}

/** Answers a request of the usual kind; undefined where it is of another, which Yoga's own handler has to answer. */
export type AnswerJson = (request: FastifyRequest) => Promise<Answer | undefined>;

/**
 * Most requests by far are a POST of JSON to be answered with JSON. For them, what Yoga does to be at home on any server
 * costs more than all else that is done for a small query: here its pipeline (plugins, limits, masking, status codes) is
 * run without. Whatever is unusual about a request goes the long way: another media type, a browser's `Origin`, a
 * subscription, a body that is no JSON object or has more in it than a query, its variables and its name.
 */
export function createAnswerJson({ yoga, maskError }: GraphqlServer): AnswerJson {
  // Plugins look at nothing but its method: it can stand for all.
  const anyPost = new yoga.fetchAPI.Request('http://localhost/graphql', { method: 'POST' });
  /** They are valid: to lead each past every rule again costs more than to execute it. */
  const knownDocuments = createKnownDocuments();

  async function resultOf(params: Params) {
    const { query, variables: variableValues, operationName } = params;
    try {
      const pipeline = yoga.getEnveloped({ answer: {}, request: anyPost, params });
      const { schema, parse, validate, contextFactory, execute } = pipeline;
      const known = knownDocuments.get(query);
      const isKnown = known !== undefined && getOperationAST(known, operationName) != null;
      const document: DocumentNode = isKnown ? known : parse(query);
      if (!isKnown) {
        const errors = validate(schema, document);
        if (errors.length > 0) return { errors };
        knownDocuments.set(query, document);
      }
      const contextValue = await contextFactory();
      return await execute({ schema, document, contextValue, variableValues, operationName });
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
    if (isAsyncIterable(result)) throw new Error('That is no result.');
    if (result.errors !== undefined) {
      return toAnswer(processRegularResult(result, yoga.fetchAPI, mediaType));
    }
    const contentType = `${mediaType}; charset=utf-8`;
    return { status: 200, headers: { 'content-type': contentType }, text: JSON.stringify(result) };
  };
}

export async function toAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return { status, headers: Object.fromEntries(headers), text: await response.text() };
}

const IS_JSON = /^application\/json(; ?charset=utf-8)?$/i;

/** By what the client accepts. */
const ANSWERED_WITH: ReadonlyMap<string, string> = new Map([
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['application/graphql-response+json', 'application/graphql-response+json'],
]);

interface Params {
  query: string;
  variables: Record<string, unknown> | null;
  operationName: string | null;
}

/** What the body asks for, unless that may be a subscription, whose answer is a stream. */
function parseParams(body: unknown): Params | undefined {
  if (typeof body !== 'string') return undefined;
  try {
    const params: unknown = JSON.parse(body);
    if (!isObject(params)) return undefined;
    // For anything else Yoga has words.
    const { query, variables = null, operationName = null, extensions = null, ...more } = params;
    if (typeof query !== 'string' || query.includes('subscription')) return undefined;
    if (variables !== null && !isObject(variables)) return undefined;
    if (operationName !== null && typeof operationName !== 'string') return undefined;
    if (extensions !== null && !isObject(extensions)) return undefined;
    return Object.keys(more).length === 0 ? { query, variables, operationName } : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

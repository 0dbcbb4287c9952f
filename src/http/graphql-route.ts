import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import { toClient } from '../graphql/errors.ts';
import type { RenderedResult, ServerContext } from '../graphql/live-result.ts';
import type { GraphqlServer } from '../graphql/yoga.ts';
import { createEventStreams } from '../rest/event-stream.ts';
import { decodeBody } from '../rest/json-body.ts';
import { createAnswerJson, toAnswer } from './graphql-json.ts';

export const GRAPHQL_PATH = '/graphql';

/** Most bytes of a request, over HTTP and over WebSocket. */
export const MAX_REQUEST_BYTES = 1024 * 1024;

/**
 * GraphQL over HTTP, GraphiQL and server-sent events at /graphql. Register it as a plugin, so that its handling of
 * bodies and errors stays its own. Closing the app cuts the streams that are still open.
 */
export async function graphqlRoute(
  app: FastifyInstance,
  { graphql }: { graphql: GraphqlServer },
): Promise<void> {
  const streams = createEventStreams(app);
  const frame = createFraming();
  const answerJson = createAnswerJson(graphql);

  // Yoga parses bodies itself; parsing here would mean to do it twice.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    // JSON by its name: the header of what falls to the rest is taken apart each time.
    ['application/json', '*'],
    { parseAs: 'buffer', bodyLimit: MAX_REQUEST_BYTES },
    (_request, body: Buffer, done) => done(null, decodeBody(body)),
  );

  app.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
    const status = error.statusCode ?? 500;
    const answer = status < 500 ? refusal(error, status) : graphql.maskError(error);
    // Or a page that may call this API could not read why it was refused.
    reply.header('access-control-allow-origin', '*');
    return reply.code(status).send({ errors: [toClient(answer)] });
  });

  app.all(GRAPHQL_PATH, async (request, reply) => {
    const answer: ServerContext['answer'] = {};
    const { status, headers, text } =
      (await answerJson(request)) ??
      (await toAnswer(
        await graphql.yoga.handleRequest(toFetchRequest(graphql, request, reply), { answer }),
      ));
    reply.code(status).headers(headers);
    if (answer.live === undefined) return reply.send(text);
    return streams.send(reply, { read: answer.live.read, frame, last });
  });

  /** An error that ends the stream comes as its last result. */
  function last(error?: Error): string {
    if (error === undefined) return COMPLETE;
    return nextEvent(JSON.stringify({ errors: [toClient(graphql.maskError(error))] })) + COMPLETE;
  }
}

const COMPLETE = 'event: complete\ndata:\n\n';

function nextEvent(json: string): string {
  return `event: next\ndata: ${json}\n\n`;
}

/** A result as an event, made once for all who get it. */
function createFraming(): (result: RenderedResult) => Buffer {
  const frames = new WeakMap<RenderedResult, Buffer>();
  return (result) => {
    const frame = frames.get(result) ?? Buffer.from(nextEvent(result.json));
    frames.set(result, frame);
    return frame;
  };
}

function toFetchRequest({ yoga }: GraphqlServer, request: FastifyRequest, reply: FastifyReply) {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  // The host is left out on purpose: it is the client's text, and nothing here depends on it.
  return new yoga.fetchAPI.Request(`http://localhost${request.url}`, {
    method: request.method,
    headers: Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    ),
    ...(typeof request.body === 'string' ? { body: request.body } : {}),
    signal: gone.signal,
  });
}

function refusal({ message }: Error, status: number): GraphQLError {
  const code = status === 413 ? 'PAYLOAD_TOO_LARGE' : 'BAD_REQUEST';
  return new GraphQLError(message, { extensions: { code } });
}

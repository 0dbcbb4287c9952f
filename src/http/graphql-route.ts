import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import { toClient } from '../graphql/errors.ts';
import type { GraphqlServer } from '../graphql/yoga.ts';

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
  const streams = new Set<FastifyReply>();

  // Yoga parses bodies itself; parsing here would mean to do it twice.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'string', bodyLimit: MAX_REQUEST_BYTES },
    (_request, body, done) => done(null, body),
  );

  app.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
    const status = error.statusCode ?? 500;
    const answer = status < 500 ? refusal(error, status) : graphql.maskError(error);
    return reply.code(status).send({ errors: [toClient(answer)] });
  });

  app.all(GRAPHQL_PATH, async (request, reply) => {
    const response = await graphql.yoga.handleRequest(toFetchRequest(graphql, request, reply), {});
    reply.code(response.status).headers(Object.fromEntries(response.headers));
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
    if (!isStream) return reply.send(await response.text());
    streams.add(reply);
    reply.raw.once('close', () => streams.delete(reply));
    return reply.send(response.body);
  });

  // Cut, not completed: a client must see that it has to resume, here or at another process.
  app.addHook('preClose', async () => {
    for (const { raw } of streams) raw.destroy();
  });
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

import { GraphQLError } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';

/** Answers HTTP requests that Yoga would answer with an empty body, or take for a failure of its own. */
export function useBadRequests(): Plugin {
  return {
    onRequestParse({ request, requestParser, setRequestParser }) {
      if (requestParser === undefined) {
        if (request.method === 'POST') throw badRequest(UNSUPPORTED, 415, 'UNSUPPORTED_MEDIA_TYPE');
        return;
      }
      setRequestParser(async (toParse) => {
        try {
          return await requestParser(toParse);
        } catch (error) {
          // `variables` and `extensions` of a URL or a form.
          throw error instanceof SyntaxError ? badRequest(INVALID_JSON, 400, 'BAD_REQUEST') : error;
        }
      });
    },
    async onResultProcess({ result, resultProcessor, setResultProcessor }) {
      if (resultProcessor !== undefined || !isAsyncIterable(result)) return;
      // Nobody will read it, so nobody else would end it.
      await result[Symbol.asyncIterator]().return?.();
      setResultProcessor((_result, { Response }) => {
        const headers = { 'content-type': 'application/json; charset=utf-8' };
        return new Response(NOT_ACCEPTABLE, { status: 406, headers });
      }, 'application/json');
    },
  };
}

const INVALID_JSON = 'The parameters "variables" and "extensions" must be JSON.';
const UNSUPPORTED = 'The Content-Type must be application/json.';
const NOT_ACCEPTABLE = JSON.stringify({
  errors: [
    {
      message:
        'A subscription is answered as text/event-stream, which the Accept header must allow, or over WebSocket.',
      extensions: { code: 'BAD_REQUEST' },
    },
  ],
});

function badRequest(message: string, status: number, code: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code, http: { status } } });
}

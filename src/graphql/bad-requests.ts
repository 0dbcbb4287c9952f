import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';

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
  };
}

const INVALID_JSON = 'The parameters "variables" and "extensions" must be JSON.';
const UNSUPPORTED = 'The Content-Type must be application/json.';

function badRequest(message: string, status: number, code: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code, http: { status } } });
}

import { GraphQLError, Kind } from 'graphql';
import type { Logger } from 'pino';
import { AppError } from '../domain/errors.ts';
import { databaseUnavailable } from '../store/database-errors.ts';

/**
 * What a client may know of an error: those that are meant for it keep their sentence and get their code; anything
 * unforeseen becomes INTERNAL_SERVER_ERROR with a sentence that says nothing. That and what is unavailable is logged, once.
 */
export type MaskError = (error: unknown) => GraphQLError;

export function createMaskError(log: Logger): MaskError {
  // Several layers of the pipeline mask what they see; only the first is to do something.
  const masked = new WeakMap<object, GraphQLError>();

  function mask(error: unknown): GraphQLError {
    const root = rootOf(error);
    const known = root instanceof AppError ? root : databaseUnavailable(root);
    if (known !== undefined) {
      if (known.code === 'SERVICE_UNAVAILABLE') log.warn({ err: known }, UNAVAILABLE);
      return forClient(error, known.message, extensionsOf(known));
    }
    if (root instanceof GraphQLError) {
      if (root.extensions.code !== undefined) return root === error ? root : locate(error, root);
      if (blamesInput(root)) {
        return forClient(error, root.message, { code: 'BAD_USER_INPUT', issues: [] });
      }
    }
    log.error(
      { err: root, path: error instanceof GraphQLError ? error.path : undefined },
      UNFORESEEN,
    );
    // `unexpected` makes Yoga answer 500 when there is no data; it does not reach the client.
    return forClient(error, GENERIC_MESSAGE, { code: 'INTERNAL_SERVER_ERROR', unexpected: true });
  }

  return (error) => {
    const key = typeof error === 'object' && error !== null ? error : new Error(String(error));
    const answer = masked.get(key) ?? mask(error);
    masked.set(key, answer);
    masked.set(answer, answer);
    return answer;
  };
}

/** The error as a client sees it, without what only an HTTP server needs to know. */
export function toClient(error: GraphQLError) {
  const { http: _http, unexpected: _unexpected, ...extensions } = error.extensions;
  return { ...error.toJSON(), extensions };
}

const GENERIC_MESSAGE = 'Something went wrong on our side. The failure was logged.';
const UNAVAILABLE = 'could not answer a GraphQL request';
const UNFORESEEN = 'unforeseen error while answering a GraphQL request';

/** What was thrown at first: the executor wraps errors to say where in the document they happened. */
function rootOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError != null
    ? rootOf(error.originalError)
    : error;
}

function extensionsOf({ code, issues, cursor }: AppError) {
  if (code === 'BAD_USER_INPUT') return { code, issues };
  return code === 'LAGGED' ? { code, cursor } : { code };
}

/** The executor complains about an argument at the argument's value, about a result at the field. */
function blamesInput({ nodes }: GraphQLError): boolean {
  const kind = nodes?.[0]?.kind;
  return kind !== undefined && kind !== Kind.FIELD;
}

function locate(error: unknown, root: GraphQLError): GraphQLError {
  return forClient(error, root.message, root.extensions);
}

function forClient(
  error: unknown,
  message: string,
  extensions: Readonly<Record<string, unknown>>,
): GraphQLError {
  if (!(error instanceof GraphQLError)) return new GraphQLError(message, { extensions });
  const { nodes, source, positions, path } = error;
  return new GraphQLError(message, { nodes, source, positions, path, extensions });
}

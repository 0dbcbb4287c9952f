import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type TaskErrorCode } from '../domain/errors.ts';
import { type Problem, problem, sendProblem } from './problem.ts';

/**
 * Turns whatever a request failed with into problem+json. What the client did wrong is not logged; what we did wrong is,
 * once, under the request's id, and the client is told nothing but that id.
 */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const foreseen = problemOf(error);
  if (foreseen === undefined) {
    request.log.error({ err: error, method: request.method, url: request.url }, 'request failed');
    return sendProblem(reply, unforeseen(request.id));
  }
  if (foreseen.status === 503) {
    // The cause tells whoever is on call what is away, and why.
    request.log.warn({ err: error }, 'request refused');
    reply.header('retry-after', RETRY_AFTER_SECONDS);
  }
  return sendProblem(reply, foreseen);
}

/** What the client may know of an error; undefined when that is nothing. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof AppError) {
    const errors = error.issues.map(({ path, message }) => ({ path: [...path], message }));
    const more = errors.length > 0 ? { errors } : {};
    return problem(STATUS_BY_CODE[error.code], error.message, more);
  }
  if (!(error instanceof Error)) return undefined;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  const code = 'code' in error ? String(error.code) : '';
  return problem(status, SENTENCE_BY_CODE[code] ?? error.message);
}

const STATUS_BY_CODE = {
  BAD_USER_INPUT: 422,
  TASK_NOT_FOUND: 404,
  TASK_NOT_CANCELLABLE: 409,
  TASK_NOT_RETRYABLE: 409,
  IDEMPOTENCY_CONFLICT: 409,
  SERVICE_UNAVAILABLE: 503,
  LAGGED: 503,
  CURSOR_EXPIRED: 410,
} as const satisfies Record<TaskErrorCode, number>;

/** Fastify's own refusals, in our words. */
const SENTENCE_BY_CODE: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'The path contains invalid percent-encoding.',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The body is larger than 1 MiB.',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as its Content-Length says.',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'Send JSON, with the header Content-Type: application/json.',
};

const RETRY_AFTER_SECONDS = 5;

function unforeseen(requestId: string): Problem {
  return problem(500, 'Something went wrong on our side. It was logged.', {
    instance: `urn:uuid:${requestId}`,
  });
}

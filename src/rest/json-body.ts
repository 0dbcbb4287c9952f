import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify';
import { HttpError } from './http-error.ts';

/**
 * Takes JSON as a body and nothing else. Keys like `__proto__` are kept as plain keys: a payload is any JSON, and what
 * `JSON.parse` makes of such a key is harmless until someone merges it.
 */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => done(null, parse(request, body)),
  );
}

/** Refuses a request that does not even say that it carries JSON. */
export const requireJson: onRequestHookHandler = (request, _reply, done) => {
  if (request.headers['content-type'] !== undefined) return done();
  throw new HttpError(415, 'Send JSON, with the header Content-Type: application/json.');
};

function parse(request: FastifyRequest, body: Buffer): unknown {
  // Some clients send the header with every request.
  if (body.length === 0 && request.method === 'DELETE') return undefined;
  if (body.length === 0) throw new HttpError(400, 'The body is empty. Send a JSON object.');
  return parseJson(decodeBody(body));
}

/** Text without its byte order mark. @throws HttpError 400 instead of putting something in place of what is no text */
export function decodeBody(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new HttpError(400, 'The body is not valid UTF-8.', { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const said = cause instanceof Error ? ` ${cause.message}.` : '';
    throw new HttpError(400, `The body is not valid JSON.${said}`, { cause });
  }
}

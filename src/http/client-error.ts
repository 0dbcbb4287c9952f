import type { Socket } from 'node:net';
import { PROBLEM_TYPE, problem } from '../rest/problem.ts';

/** Answers what is not even an HTTP request, or took too long to become one. */
export function answerClientError(error: { code: string }, socket: Socket): void {
  if (error.code !== 'ECONNRESET' && socket.writable) socket.end(response(error.code));
  else socket.destroy();
}

function response(code: string): string {
  const refusal = problemOf(code);
  const body = JSON.stringify(refusal);
  return [
    `HTTP/1.1 ${refusal.status} ${refusal.title}`,
    'Connection: close',
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

function problemOf(code: string) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return problem(408, 'The request did not arrive in time.');
  }
  if (code === 'HPE_HEADER_OVERFLOW') return problem(431, 'The headers are too large.');
  return problem(400, 'This is not a valid HTTP request.');
}

import type { FastifyInstance } from 'fastify';
import { problem, sendProblem } from '../rest/problem.ts';

/**
 * Answers 405 with `Allow` where the path is known under another method, else 404; before the body is read. To be called
 * before any route is added.
 */
export function answerUnknownRoutes(app: FastifyInstance): void {
  const methods = new Map<string, Set<string>>();

  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    methods.set(url, known);
    for (const each of [method].flat()) known.add(each);
  });

  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    const path = pathOf(request.url);
    const patterns = [...methods.keys()].filter((pattern) => matches(pattern, path));
    const allowed = patterns.flatMap((pattern) => [...(methods.get(pattern) ?? [])]);
    if (allowed.length === 0) {
      sendProblem(reply, problem(404, `There is nothing at ${path}`));
      return;
    }
    const allow = [...new Set(allowed)].sort().join(', ');
    reply.header('allow', allow);
    sendProblem(reply, problem(405, `${path} takes ${allow}, not ${request.method}.`));
  });

  // A plugin that serves files comes here by itself.
  app.setNotFoundHandler((request, reply) => {
    return sendProblem(reply, problem(404, `There is nothing at ${pathOf(request.url)}`));
  });
}

function pathOf(url: string): string {
  return url.split(/[?#]/, 1).join();
}

/** Whether a path is one of a route's, up to one slash at the end. Routes with wildcards take any path themselves. */
function matches(pattern: string, path: string): boolean {
  if (pattern.includes('*')) return false;
  const wanted = segments(pattern);
  const given = segments(path);
  return (
    wanted.length === given.length &&
    wanted.every((segment, index) => segment.startsWith(':') || segment === given[index])
  );
}

function segments(path: string): string[] {
  return path.replace(/\/$/, '').split('/');
}

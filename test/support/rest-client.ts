import type { FastifyInstance, FastifyPluginAsync, InjectOptions } from 'fastify';
import type { Logger } from 'pino';
import { onTestFinished } from 'vitest';
import type { TaskTypes } from '../../src/domain/task-types.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { restApi } from '../../src/rest/rest-api.ts';
import type { TaskFeed } from '../../src/tasks/task-feed.ts';
import type { TaskService } from '../../src/tasks/task-service.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { startTestService, type TestService } from './test-service.ts';

export const TASKS = '/api/v1/tasks';

/** What a client of REST sees of an answer. */
export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  /** The body, parsed; undefined when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says by its expectations what it should be
  body: any;
}

export interface RestClient {
  app: FastifyInstance;
  request(options: InjectOptions): Promise<Answer>;
  get(url: string, headers?: Record<string, string>): Promise<Answer>;
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  delete(url: string): Promise<Answer>;
}

/** REST in front of a service of the test's own. */
export async function startRest(
  options: Parameters<typeof startTestService>[0] & {
    plugins?: FastifyPluginAsync[];
    /** Instead of the service's own. */
    feed?: TaskFeed;
  } = {},
): Promise<RestClient & TestService> {
  const backend = await startTestService(options);
  const service = { ...backend, feed: options.feed ?? backend.feed };
  const { taskTypes, plugins = [] } = options;
  const client = restClient({
    tasks: service.service,
    feed: service.feed,
    log: service.logs.log,
    plugins,
    ...(taskTypes && { taskTypes }),
  });
  return { ...service, ...client };
}

export function restClient({
  tasks,
  feed,
  log,
  taskTypes = handlers,
  plugins = [],
}: {
  tasks: TaskService;
  feed: TaskFeed;
  log: Logger;
  taskTypes?: TaskTypes;
  plugins?: FastifyPluginAsync[];
}): RestClient {
  const health = { database: async () => true, broker: () => true, draining: () => false };
  const server = createHttpServer({
    log,
    health,
    plugins: [restApi({ tasks, feed, taskTypes }), ...plugins],
  });
  onTestFinished(() => server.close({ graceMs: 0 }));

  async function request(options: InjectOptions): Promise<Answer> {
    const { statusCode: status, headers, body: text } = await server.app.inject(options);
    const isJson = String(headers['content-type']).includes('json') && text !== '';
    return { status, headers, text, body: isJson ? JSON.parse(text) : undefined };
  }

  return {
    app: server.app,
    request,
    get: (url, headers = {}) => request({ method: 'GET', url, headers }),
    post: (body, headers = {}) =>
      request({
        method: 'POST',
        url: TASKS,
        headers: { 'content-type': 'application/json', ...headers },
        payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      }),
    delete: (url) => request({ method: 'DELETE', url }),
  };
}

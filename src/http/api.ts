import type { Logger } from 'pino';
import type { Broker } from '../broker/broker.ts';
import { landingPage } from '../dashboard/landing-page.ts';
import type { TaskTypes } from '../domain/task-types.ts';
import { createGraphqlServer } from '../graphql/yoga.ts';
import { restApi } from '../rest/rest-api.ts';
import type { Database } from '../store/database.ts';
import type { Advance } from '../tasks/advance.ts';
import { createTaskFeed } from '../tasks/task-feed.ts';
import { createTaskService } from '../tasks/task-service.ts';
import { apiDocs } from './api-docs.ts';
import { graphqlRoute } from './graphql-route.ts';
import { createHttpServer } from './server.ts';
import { asksForGraphqlSocket, serveGraphqlSockets } from './websocket.ts';

/** Everything that clients see: GraphQL, REST, their documentation and the health checks, on one port. */
export interface Api {
  /** Starts to serve; resolves to the address. @throws Error with a sentence for people when the port can't be had */
  listen(options: { host: string; port: number }): Promise<string>;
  /**
   * Takes no more requests, answers those in flight, and cuts open streams so that clients resume elsewhere.
   * @param options.notice whether to say first that it is going, and to serve on until that has got around
   */
  close(options: { graceMs: number; notice: boolean }): Promise<void>;
}

export async function createApi(options: {
  database: Database;
  broker: Broker;
  advance: Advance;
  taskTypes: TaskTypes;
  log: Logger;
}): Promise<Api> {
  const { database, broker, advance, taskTypes, log } = options;
  const { prisma } = database;
  const service = createTaskService({ database, broker, advance });
  const feed = await createTaskFeed({ broker, sql: database, log });
  const graphql = createGraphqlServer({ service, feed, prisma, taskTypes, log });
  const server = createHttpServer({
    log,
    health: {
      database: database.isReachable,
      broker: () => broker.ready,
      draining: () => false,
    },
    plugins: [
      restApi({ tasks: service, feed, taskTypes }),
      apiDocs({ taskTypes }),
      landingPage(),
      (app) => graphqlRoute(app, { graphql }),
    ],
    upgrades: asksForGraphqlSocket,
  });
  const sockets = serveGraphqlSockets({ server: server.app.server, graphql, log });

  return {
    listen: server.listen,
    async close({ graceMs, notice }) {
      if (notice) await server.leave();
      const until = performance.now() + graceMs;
      await sockets.close({ graceMs });
      await server.close({ graceMs: Math.max(0, until - performance.now()) });
      await feed.close();
    },
  };
}

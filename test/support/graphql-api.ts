import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type GraphQLFormattedError, print } from 'graphql';
import { type Client, createClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { createGraphqlServer } from '../../src/graphql/yoga.ts';
import { graphqlRoute } from '../../src/http/graphql-route.ts';
import { createHttpServer } from '../../src/http/server.ts';
import {
  asksForGraphqlSocket,
  type GraphqlSockets,
  serveGraphqlSockets,
} from '../../src/http/websocket.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { startTestService, type TestService } from './test-service.ts';

export interface GraphqlAnswer<Data> {
  data?: Data | null;
  errors?: GraphQLFormattedError[];
}

/** GraphQL over HTTP and WebSocket on a port of its own, in front of a `TestService`. */
export interface GraphqlApi extends TestService {
  url: string;
  sockets: GraphqlSockets;
  /** Closes the HTTP server, as a shutdown does. */
  closeHttp(): Promise<void>;
  ask<Data, Variables>(
    document: TypedDocumentNode<Data, Variables> | string,
    variables?: NoInfer<Variables>,
  ): Promise<GraphqlAnswer<Data>>;
  /** Posts a body as it is. */
  post(body: string | Buffer<ArrayBuffer>, headers?: Record<string, string>): Promise<Response>;
  openClient(): Client;
}

export async function startGraphqlApi(
  parts: Partial<Pick<TestService, 'service' | 'feed'>> = {},
): Promise<GraphqlApi> {
  const backend = { ...(await startTestService()), ...parts };
  const { service, feed, database, logs } = backend;
  const { log } = logs;
  const { prisma } = database;
  const graphql = createGraphqlServer({ service, feed, prisma, taskTypes: handlers, log });
  const server = createHttpServer({
    log,
    health: { database: async () => true, broker: () => true, draining: () => false },
    plugins: [(app) => graphqlRoute(app, { graphql })],
    upgrades: asksForGraphqlSocket,
  });
  const sockets = serveGraphqlSockets({ server: server.app.server, graphql, log });
  const url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/graphql`;
  onTestFinished(async () => {
    await sockets.close({ graceMs: 0 });
    await server.close({ graceMs: 0 });
  });

  function post(body: string | Buffer<ArrayBuffer>, headers = {}) {
    const allHeaders = { 'content-type': 'application/json', ...headers };
    return fetch(url, { method: 'POST', headers: allHeaders, body });
  }

  return {
    ...backend,
    url,
    sockets,
    closeHttp: () => server.close({ graceMs: 60_000 }),
    post,
    async ask(document, variables) {
      const query = typeof document === 'string' ? document : print(document);
      const response = await post(JSON.stringify({ query, variables }));
      return await response.json();
    },
    openClient() {
      const webSocketUrl = url.replace('http', 'ws');
      const client = createClient({
        url: webSocketUrl,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
      });
      onTestFinished(() => client.dispose());
      return client;
    },
  };
}

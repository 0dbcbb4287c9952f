import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyPluginAsync } from 'fastify';
import type { TaskTypes } from '../domain/task-types.ts';
import { openApiDocument } from '../rest/openapi.ts';
import { healthOperations } from './health-operations.ts';

/** `/openapi.json`, and Swagger UI for it at `/docs`: all served from here, no CDN. */
export function apiDocs({ taskTypes }: { taskTypes: TaskTypes }): FastifyPluginAsync {
  const document = openApiDocument({ taskTypes, parts: [healthOperations] });
  return async (app) => {
    app.get('/openapi.json', async () => document);
    await app.register(swagger, { mode: 'static', specification: { document } });
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: CONTENT_SECURITY_POLICY,
      theme: { title: 'async-task-manager: REST' },
      uiConfig: { layout: 'BaseLayout', tryItOutEnabled: true, displayRequestDuration: true },
    });
  };
}

/** Swagger UI sets styles on elements and draws its icons from data URLs. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; " +
  "base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

import type { FastifyPluginAsync } from 'fastify';
import type { TaskTypes } from '../domain/task-types.ts';
import type { TaskFeed } from '../tasks/task-feed.ts';
import type { TaskService } from '../tasks/task-service.ts';
import { acceptJson } from './json-body.ts';
import { addTaskEventRoutes } from './task-event-routes.ts';
import { addTaskRoutes } from './task-routes.ts';

/** The REST API under /api/v1, for curl and for those who like it simple. */
export function restApi(options: {
  tasks: TaskService;
  feed: TaskFeed;
  taskTypes: TaskTypes;
}): FastifyPluginAsync {
  return async (app) => {
    acceptJson(app);
    // Tasks change from one moment to the next.
    app.addHook('onSend', (_request, reply, _payload, done) => {
      reply.header('cache-control', 'no-store');
      done();
    });
    addTaskRoutes(app, options);
    addTaskEventRoutes(app, options);
  };
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseTaskId } from '../domain/parse.ts';
import type { StreamedChange } from '../tasks/cursor.ts';
import { type Reader, readMapped, type Stream } from '../tasks/stream.ts';
import type { TaskFeed } from '../tasks/task-feed.ts';
import type { TaskService } from '../tasks/task-service.ts';
import { createEventStreams } from './event-stream.ts';
import { createTaskEventFraming, firstFrame, lastFrame } from './task-event-frame.ts';
import { parseAllTaskEventsQuery, parseTaskEventsQuery } from './task-events-query.ts';
import { TASKS_PATH } from './task-routes.ts';

export const TASK_EVENTS_PATH = '/api/v1/events';

interface ById {
  Params: { id: string };
}

/**
 * The live stream for curl and `EventSource`, documented in `task-event-operations.ts`. Closing the app cuts the streams
 * that are still open.
 */
export function addTaskEventRoutes(
  app: FastifyInstance,
  { tasks, feed }: { tasks: Pick<TaskService, 'whole'>; feed: TaskFeed },
): void {
  const streams = createEventStreams(app);
  const frame = createTaskEventFraming();

  app.get<ById>(`${TASKS_PATH}/:id/events`, LIVE, async (request, reply) => {
    const id = parseTaskId(request.params.id);
    const { after } = parseTaskEventsQuery(request);
    return send(reply, await feed.watchTask(id, after));
  });

  app.get(TASK_EVENTS_PATH, LIVE, async (request, reply) => {
    const { filter, after } = parseAllTaskEventsQuery(request);
    return send(reply, await feed.watchTasks(filter, after));
  });

  function send(reply: FastifyReply, changes: Stream<StreamedChange>): FastifyReply {
    // `EventSource` comes back whenever a stream ends, and stops at this.
    if (changes.over) return reply.code(204).send();
    const last = (error?: Error) => lastFrame(error, reply.log);
    const read = (reader: Reader<StreamedChange>) => readMapped(changes, whole, reader);
    return streams.send(reply, { read, first: firstFrame(changes.start), frame, last });
  }

  function whole(change: StreamedChange): StreamedChange | Promise<StreamedChange> {
    const task = tasks.whole(change.task);
    return task instanceof Promise ? task.then((task) => ({ ...change, task })) : change;
  }
}

const LIVE = {
  // It would be a stream whose events go nowhere.
  exposeHeadRoute: false,
  onRequest: allowAnyOrigin,
};

/**
 * Any page may watch, as anyone can with curl: there are no cookies to protect. Refusals say so too: `EventSource` may
 * take what it must not read for a broken connection, and try again for ever.
 */
async function allowAnyOrigin(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header('access-control-allow-origin', '*');
}

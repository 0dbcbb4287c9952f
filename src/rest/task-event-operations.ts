import { cursorExpired } from '../domain/errors.ts';
import { type Operation, type Paths, queryParameters, refusal } from './operation.ts';
import { firstFrame, taskEventFrame } from './task-event-frame.ts';
import { taskEventExample } from './task-event-json.ts';
import { TASK_EVENTS_PATH } from './task-event-routes.ts';
import { allTaskEventsQuery, LAST_EVENT_ID, taskEventsQuery } from './task-events-query.ts';
import { away, taskIdParameter, unknown } from './task-operations.ts';
import { TASKS_PATH } from './task-routes.ts';

/** The routes of `task-event-routes.ts`, for the OpenAPI document. */
export function taskEventOperations(): Paths {
  return {
    [`${TASKS_PATH}/{id}/events`]: { get: watchTask() },
    [TASK_EVENTS_PATH]: { get: watchTasks() },
  };
}

const notOurs = 'is not a cursor of this service';
const badCursor = refusal(422, `after: ${notOurs}`, [{ path: ['after'], message: notOurs }]);
const expired = refusal(410, cursorExpired().message);

const HOW =
  'Server-sent events, for `curl -N` and for `EventSource`. Each has its cursor as `id` and a `TaskEvent` as `data`. ' +
  'After a broken connection `EventSource` resumes by itself, and whoever hands back the last cursor gets all that was ' +
  'missed, each change exactly once. A reader that falls 1,000 changes behind gets an event `lagged`, with a `Problem` ' +
  'as its `data`, and the stream ends, to be resumed likewise. Comments keep an idle connection alive.';

function watchTask(): Operation {
  return {
    operationId: 'watchTask',
    summary: 'Watch a task',
    description:
      'Begins with its present state, gives every change in order of `version`, and ends after a final status. ' +
      `Resumed after that one, it answers 204: \`EventSource\` then stops. ${HOW}`,
    tags: ['Events'],
    parameters: [taskIdParameter, ...queryParameters(taskEventsQuery.shape), lastEventId()],
    responses: {
      200: events(),
      204: { description: 'The final event was the last one you saw: there is nothing to come.' },
      ...unknown,
      ...expired,
      ...badCursor,
      ...away,
    },
  };
}

function watchTasks(): Operation {
  return {
    operationId: 'watchTasks',
    summary: 'Watch all tasks',
    description: `Every change of the tasks that match, from now on, in order per task, until you leave. ${HOW}`,
    tags: ['Events'],
    parameters: [...queryParameters(allTaskEventsQuery.shape), lastEventId()],
    responses: {
      200: events(),
      ...expired,
      ...badCursor,
      ...away,
    },
  };
}

function lastEventId(): object {
  return {
    name: LAST_EVENT_ID,
    in: 'header',
    description: 'The same as `after`, as `EventSource` says it; it comes before `after`.',
    schema: { type: 'string' },
  };
}

function events(): object {
  const example = firstFrame(undefined) + taskEventFrame(taskEventExample);
  const schema = { type: 'string', description: 'The `data` of each event is a `TaskEvent`.' };
  return {
    description: 'The events, as they happen.',
    content: { 'text/event-stream': { schema, example } },
  };
}

import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { parseInput } from '../domain/parse.ts';
import type { TaskFilter } from '../domain/task-filter.ts';
import { once, taskFilterQuery, toTaskFilter, withoutBlanks } from './task-filter-query.ts';

/** What `EventSource` sends by itself when it connects again: the `id` of the last event it got. */
export const LAST_EVENT_ID = 'Last-Event-ID';

/** The query of `GET /tasks/{id}/events`. */
export const taskEventsQuery = z.strictObject({
  after: once.optional().meta({
    description: 'The `cursor` of the last event you saw: the stream goes on from there.',
  }),
});

/** The query of `GET /events`. */
export const allTaskEventsQuery = taskEventsQuery.extend({
  ...taskFilterQuery,
  status: taskFilterQuery.status.meta({ description: 'Only changes to this status.' }),
});

/** A request for a stream. */
interface Asked {
  query: unknown;
  headers: IncomingHttpHeaders;
}

/** @throws AppError BAD_USER_INPUT; that of a bad cursor comes from the feed */
export function parseTaskEventsQuery({ query, headers }: Asked): { after: string | undefined } {
  const { after } = parseInput(taskEventsQuery, query);
  return { after: newerOf(headers, after) };
}

/** @throws AppError BAD_USER_INPUT; that of a bad cursor comes from the feed */
export function parseAllTaskEventsQuery({ query, headers }: Asked): {
  filter: TaskFilter;
  after: string | undefined;
} {
  const given = withoutBlanks(query, Object.keys(taskFilterQuery));
  const { after, ...filter } = parseInput(allTaskEventsQuery, given);
  return { filter: toTaskFilter(filter), after: newerOf(headers, after) };
}

/** `EventSource` goes on sending the URL that it began with. Empty is as good as absent. */
function newerOf(headers: IncomingHttpHeaders, after: string | undefined): string | undefined {
  const lastEventId = headers['last-event-id'];
  return String(lastEventId ?? '') || after || undefined;
}

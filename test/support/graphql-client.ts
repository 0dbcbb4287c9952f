import { createClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { readEvents } from './server-sent-events.ts';

/** A GraphQL request as a client writes it. */
export interface Operation {
  query: string;
  variables?: Record<string, unknown>;
}

export interface Answer<Data> {
  data?: Data;
  errors?: { message: string; extensions?: Record<string, unknown> }[];
}

/** GraphQL over HTTP. @param url of the service */
export async function askGraphql<Data>(url: string, operation: Operation): Promise<Answer<Data>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(operation),
  });
  return await response.json();
}

/** As `askGraphql`, for a request that has to succeed. */
export async function runGraphql<Data>(url: string, operation: Operation): Promise<Data> {
  const { data, errors } = await askGraphql<Data>(url, operation);
  if (data === undefined || errors !== undefined) {
    throw new Error(`GraphQL answered: ${JSON.stringify(errors)}`);
  }
  return data;
}

/** The cursor of the latest change of a task. */
export async function cursorOf(url: string, id: string): Promise<string> {
  const { task } = await runGraphql<{ task: { events: { cursor: string }[] } }>(url, {
    query: `{ task(id: "${id}") { events { cursor } } }`,
  });
  return String(task.events.at(-1)?.cursor);
}

/** What a client sees of one subscription. Ends when the server completes it; leaving the loop ends it as well. */
export type Stream<Data> = AsyncIterableIterator<Data>;

/** Subscribes over WebSocket (graphql-ws). `closed` resolves to the code with which the socket was closed. */
export function subscribeByWebSocket<Data extends object>(
  url: string,
  operation: Operation,
): { stream: Stream<Data>; closed: Promise<number> } {
  const closed = Promise.withResolvers<number>();
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    on: { closed: (event) => closed.resolve(codeOf(event)) },
  });
  onTestFinished(() => client.dispose());
  const results = client.iterate<Data>(operation);
  return { stream: dataOf(results), closed: closed.promise };
}

/** Subscribes by server-sent events. */
export async function subscribeBySse<Data extends object>(
  url: string,
  operation: Operation,
): Promise<Stream<Data>> {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(operation),
    signal: leaving.signal,
  });
  if (response.body === null || !response.ok) throw new Error(`SSE answered ${response.status}.`);
  return dataOf<Data>(resultsOf(response.body));
}

async function* dataOf<Data>(
  results: AsyncIterable<{ data?: Data | null | undefined; errors?: unknown }>,
): AsyncGenerator<Data, undefined> {
  for await (const { data, errors } of results) {
    if (data == null) throw new Error(`The stream brought: ${JSON.stringify(errors)}`);
    yield data;
  }
}

/** The results in a stream of events; ends with its `complete`. */
async function* resultsOf<Data>(body: ReadableStream<Uint8Array>) {
  for await (const { event, data } of readEvents(body)) {
    if (event === 'complete') return;
    if (data !== undefined) yield JSON.parse(data) as { data?: Data };
  }
  throw new Error('The stream was cut before it was complete.');
}

function codeOf(event: unknown): number {
  if (typeof event !== 'object' || event === null || !('code' in event)) return Number.NaN;
  return Number(event.code);
}

import { snippet } from './readme.ts';

/** What a client of the README watches. */
export interface Watched {
  /** The service, as the client reaches it. */
  url: string;
  /** One task; all of them when left out. */
  id?: string;
  after?: string;
  /** What GraphQL tells of the task besides. */
  more?: string;
}

/** The README's client for graphql-ws as a script. It tells what it sees by `tell`, see `Told`. */
export function graphqlWsClient(watched: Watched): string {
  return `${graphqlWs(watched)}
watch(${request(watched)}, {
  next: ({ data: { taskStatusChanged: { task, ...change } } }) => tell('changes', change),
  error: (errors) => tell('ends', JSON.stringify(errors)),
  complete: () => tell('ends', 'complete'),
});`;
}

/** As `graphqlWsClient`, for urql. It repeats its last result when the stream is complete. */
export function urqlClient(watched: Watched): string {
  return `${graphqlWs(watched)}
${snippet('subscriptionExchange', watched.url)}
const { query, variables } = ${request(watched)};
urql.subscription(query, variables).subscribe(({ data, error, hasNext }) => {
  if (error) tell('ends', String(error));
  else if (hasNext) tell('changes', data.taskStatusChanged);
  else tell('ends', 'complete');
});`;
}

/** As `graphqlWsClient`, for EventSource. */
export function eventSourceClient({ url, id, after = '' }: Watched): string {
  const path = id === undefined ? 'events' : `tasks/${id}/events`;
  return `${snippet('new EventSource', url)}
const leave = watchEvents('${url}/api/v1/${path}?after=${after}', ({ task_id, version, status }) => {
  tell('changes', { taskId: task_id, version, status });
  if (${id === undefined} || !['COMPLETED', 'FAILED', 'CANCELLED'].includes(status)) return;
  leave();
  tell('ends', 'complete');
});`;
}

function graphqlWs({ url }: Watched): string {
  return [snippet('createClient', url), snippet('function watch(', url), TELL_REFUSALS].join('\n');
}

/** Both ways in which the service says no: as the end of a stream, and as the answer to a request for one. */
const TELL_REFUSALS = `client.on('message', ({ type, payload }) => {
  const [error] = (type === 'error' ? payload : payload?.errors) ?? [];
  if (error) tell('refusals', error.extensions.code);
});`;

function request({ id, after, more = '' }: Watched): string {
  const query = `subscription ($id: ID, $after: String) {
    taskStatusChanged(id: $id, after: $after) { cursor taskId version status task { title ${more} } }
  }`;
  return JSON.stringify({ query, variables: { id, after } });
}

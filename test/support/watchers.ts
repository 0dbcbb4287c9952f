import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { TaskStatus } from '../../src/domain/task.ts';
import { readEvents } from './server-sent-events.ts';

/** The ways in which a client can watch tasks. */
export type Transport = 'graphql-ws' | 'graphql-sse' | 'rest-sse';

export const TRANSPORTS: readonly Transport[] = ['graphql-ws', 'graphql-sse', 'rest-sse'];

/** One task, or all that match. REST knows no filter by `ids`. */
export type Watched = { id: string } | { filter: WatchedFilter };

export type WatchedFilter = Partial<
  Record<'ids' | 'status' | 'priority' | 'type', readonly string[]>
>;

/** What a client sees of a change, the same over every transport. */
export interface Seen {
  cursor: string;
  taskId: string;
  version: number;
  status: TaskStatus;
}

/**
 * Why there is no stream, or no longer, and a client tries again: the connection was lost, it was told to be too slow,
 * or told that the service is not able just now.
 */
export type Interruption = 'CUT' | 'LAGGED' | 'UNAVAILABLE';

export class Disconnected extends Error {
  override readonly name = 'Disconnected';
  readonly reason: Interruption;

  constructor(reason: Interruption, cause?: unknown) {
    super(`The stream broke off: ${reason}.`, { cause });
    this.reason = reason;
  }
}

/** A client of one process. */
export interface Watcher {
  /**
   * Ends when the server ends the stream properly.
   * @throws Disconnected; any other error is an answer that a client of these tests must not get
   */
  watch(watched: Watched, after: string | undefined): AsyncIterable<Seen>;
  /** Breaks the connection without a word to the server. */
  drop(): void;
}

/** Connects when it watches; what one watcher watches over WebSocket shares one socket. @param url of the service */
export function createWatcher(transport: Transport, url: string): Watcher {
  return CREATE[transport](url);
}

const CREATE = {
  'graphql-ws': watchByWebSocket,
  'graphql-sse': watchByGraphqlSse,
  'rest-sse': watchByRestSse,
} as const satisfies Record<Transport, (url: string) => Watcher>;

const QUERY = `subscription($id: ID, $filter: TaskFilter, $after: String) {
  taskStatusChanged(id: $id, filter: $filter, after: $after) { cursor taskId version status }
}`;

interface Result {
  data?: { taskStatusChanged: Seen } | null;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
}

function watchByWebSocket(url: string): Watcher {
  const sockets: WebSocket[] = [];
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    // The client knows its socket only once it is open; this one is to be broken before that as well.
    webSocketImpl: class extends WebSocket {
      constructor(address: string, protocol: string) {
        super(address, protocol);
        sockets.push(this);
      }
    },
    retryAttempts: 0,
  });
  return {
    async *watch(watched, after) {
      const variables = { ...watched, after };
      try {
        const results = client.iterate<Result['data']>({ query: QUERY, variables });
        for await (const { data, errors } of results) yield changeOf({ data, errors } as Result);
      } catch (error) {
        // An answer comes as a list of GraphQL errors, a lost connection as an event of the socket.
        if (Array.isArray(error)) throw problemOf(error);
        throw error instanceof Error && !('code' in error) ? error : new Disconnected('CUT', error);
      }
    },
    drop() {
      for (const socket of sockets) socket.terminate();
    },
  };
}

function watchByGraphqlSse(url: string): Watcher {
  return watchByFetch(async function* ({ watched, after, signal }) {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: QUERY, variables: { ...watched, after } }),
      signal,
    });
    for await (const { event, data } of readEvents(await bodyOf(response))) {
      if (event === 'complete') return true;
      if (data !== undefined) yield changeOf(JSON.parse(data));
    }
    return false;
  });
}

function watchByRestSse(url: string): Watcher {
  return watchByFetch(async function* ({ watched, after, signal }) {
    const response = await fetch(`${url}/api/v1/${pathOf(watched)}`, {
      headers: {
        accept: 'text/event-stream',
        ...(after === undefined ? {} : { 'last-event-id': after }),
      },
      signal,
    });
    if (response.status === 204) return true;
    let isFinal = false;
    for await (const { event, id, data } of readEvents(await bodyOf(response))) {
      if (event === 'lagged') throw new Disconnected('LAGGED');
      // The first block has no data: it says only where the stream begins.
      if (data === undefined) continue;
      if (event !== undefined) throw new Error(`An event ${event}: ${data}`);
      const { cursor, task_id: taskId, version, status } = JSON.parse(data);
      // What a browser sends back is the id.
      if (id !== cursor) throw new Error(`The event ${cursor} has the id ${id}.`);
      isFinal = FINAL.includes(status);
      yield { cursor, taskId, version, status };
    }
    // Nothing in the stream says that it is over, so only what must end may.
    return 'id' in watched && isFinal;
  });
}

const FINAL: readonly TaskStatus[] = ['COMPLETED', 'FAILED', 'CANCELLED'];

function pathOf(watched: Watched): string {
  if ('id' in watched) return `tasks/${watched.id}/events`;
  const pairs = Object.entries(watched.filter).flatMap(([name, values]) =>
    values.map((value) => [name, value]),
  );
  return `events?${new URLSearchParams(pairs)}`;
}

type Request = { watched: Watched; after: string | undefined; signal: AbortSignal };

/** @param request returns whether the stream was over, and not just cut */
function watchByFetch(
  request: (options: Request) => AsyncGenerator<Seen, boolean, undefined>,
): Watcher {
  const leaving = new AbortController();
  return {
    async *watch(watched, after) {
      let isOver = false;
      try {
        isOver = yield* request({ watched, after, signal: leaving.signal });
      } catch (error) {
        // `fetch` throws a TypeError when it cannot connect and when the body breaks off.
        const isCut = error instanceof TypeError || leaving.signal.aborted;
        throw isCut ? new Disconnected('CUT', error) : error;
      }
      if (!isOver) throw new Disconnected('CUT');
    },
    drop: () => leaving.abort(),
  };
}

async function bodyOf(response: Response): Promise<ReadableStream<Uint8Array>> {
  const { ok, status, body } = response;
  if (ok && body !== null) return body;
  if (status === 503) throw new Disconnected('UNAVAILABLE');
  throw new Error(`The service answered ${status}: ${await response.text()}`);
}

function changeOf({ data, errors }: Result): Seen {
  if (data == null || errors !== undefined) throw problemOf(errors ?? []);
  return data.taskStatusChanged;
}

function problemOf(errors: NonNullable<Result['errors']>): Error {
  const code = errors[0]?.extensions?.code;
  if (code === 'LAGGED') return new Disconnected('LAGGED');
  if (code === 'SERVICE_UNAVAILABLE') return new Disconnected('UNAVAILABLE');
  return new Error(`The service answered: ${JSON.stringify(errors)}`);
}

import type { TaskPriority, TaskStatus } from '../../../src/domain/task.ts';
import type { Order } from './book.ts';
import { Breach } from './step.ts';

/** What a client got; or the code by which it was refused; or why nobody knows what has become of its request. */
export type Outcome<T> = { got: T } | { refused: string } | { away: string };

export type Via = 'REST' | 'GraphQL';

/** A task as an answer shows it. REST says no version. */
export interface Shown {
  id: string;
  title: string;
  status: TaskStatus;
  attempt: number;
  version?: number;
  /** Only REST tells. */
  isReplay?: boolean;
}

/** Which tasks a bulk change means. */
export interface Filter {
  search: string;
  ids?: string[];
  status?: TaskStatus[];
  priority?: TaskPriority[];
}

/** Longer than the service may take while the database is silent (10 s). */
const PATIENCE_MS = 12_000;
const TASKS = '/api/v1/tasks';

export function createOne(url: string, via: Via, order: Order): Promise<Outcome<Shown>> {
  if (via === 'GraphQL') return mutate(url, 'createTask', '$input: CreateTaskInput!', order);
  const { runAt, maxAttempts, timeoutSeconds, ttlSeconds, retry, idempotencyKey, ...rest } = order;
  const body = {
    ...rest,
    run_at: runAt,
    max_attempts: maxAttempts,
    timeout_seconds: timeoutSeconds,
    ttl_seconds: ttlSeconds,
    retry: { base_seconds: retry.baseSeconds },
  };
  const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
  return askRest(url + TASKS, 'POST', headers, body);
}

export function createMany(url: string, orders: readonly Order[]): Promise<Outcome<Shown[]>> {
  return mutate(url, 'createTasks', '$input: [CreateTaskInput!]!', orders);
}

/** @param reason of which REST knows nothing */
export function cancelOne(
  url: string,
  via: Via,
  id: string,
  reason: string,
): Promise<Outcome<Shown>> {
  if (via === 'REST') return askRest(`${url}${TASKS}/${id}`, 'DELETE');
  const query = `mutation ($id: ID!, $reason: String) { it: cancelTask(id: $id, reason: $reason) ${SHOWN} }`;
  return ask(url, query, { id, reason });
}

export function retryOne(url: string, id: string): Promise<Outcome<Shown>> {
  return ask(url, `mutation ($id: ID!) { it: retryTask(id: $id) ${SHOWN} }`, { id });
}

export function readOne(url: string, via: Via, id: string): Promise<Outcome<Shown>> {
  if (via === 'REST') return askRest(`${url}${TASKS}/${id}`, 'GET');
  return ask(url, `query ($id: ID!) { it: task(id: $id) ${SHOWN} }`, { id });
}

/** @returns how many */
export function cancelMany(
  url: string,
  filter: Filter,
  reason: string,
): Promise<Outcome<{ count: number }>> {
  const query = `mutation ($filter: TaskFilter!, $reason: String) {
    it: cancelTasks(filter: $filter, reason: $reason) { count } }`;
  return ask(url, query, { filter, reason });
}

/** @returns how many */
export function retryMany(url: string, filter: Filter): Promise<Outcome<{ count: number }>> {
  const query = 'mutation ($filter: TaskFilter!) { it: retryTasks(filter: $filter) { count } }';
  return ask(url, query, { filter });
}

const SHOWN = '{ id title status attempt version }';

function mutate<T>(url: string, field: string, variable: string, input: unknown) {
  const query = `mutation (${variable}) { it: ${field}(input: $input) ${SHOWN} }`;
  return ask<T>(url, query, { input });
}

async function ask<T>(url: string, query: string, variables: object): Promise<Outcome<T>> {
  const sent = await send(`${url}/graphql`, 'POST', {}, { query, variables });
  if ('away' in sent) return sent;
  const { data, errors } = (await sent.json) as {
    data?: { it: T | null } | null;
    errors?: { message: string; extensions?: { code?: string } }[];
  };
  const code = errors?.[0]?.extensions?.code ?? errors?.[0]?.message;
  if (code === 'SERVICE_UNAVAILABLE') return { away: code };
  if (code === 'INTERNAL_SERVER_ERROR') throw new Breach(`answered ${JSON.stringify(errors)}`);
  if (code !== undefined) return { refused: code };
  if (data?.it == null) throw new Breach(`answered ${sent.status} without data`);
  return { got: data.it };
}

async function askRest(
  url: string,
  method: 'GET' | 'POST' | 'DELETE',
  headers: Record<string, string> = {},
  body?: object,
): Promise<Outcome<Shown>> {
  const sent = await send(url, method, headers, body);
  if ('away' in sent) return sent;
  const { status, json } = sent;
  if (status === 503) return { away: 'REST 503' };
  if (status >= 500) throw new Breach(`answered ${status}: ${JSON.stringify(json)}`);
  if (status >= 400) return { refused: String(status) };
  return { got: { ...(json as Shown), isReplay: status === 200 && method === 'POST' } };
}

async function send(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: object,
): Promise<{ status: number; json: unknown } | { away: string }> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const init = { method, signal, headers: { ...type, ...headers }, ...content };
    const answer = await fetch(url, init);
    return { status: answer.status, json: await answer.json() };
  } catch (error) {
    return { away: describe(error) };
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : '';
  return `${error.name} ${code || error.message}`;
}

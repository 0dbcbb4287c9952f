import type { TaskPriority } from '../../src/domain/task.ts';

/** A task as GraphQL takes it. */
export interface Order {
  title: string;
  priority: TaskPriority;
  payload: { durationMs: number; failAttempts?: number };
  runAt?: string;
  maxAttempts?: number;
  timeoutSeconds?: number;
  idempotencyKey?: string;
}

/** What the client got, or by which status, code or failure it did not get it. */
export type Answer<T> = { got: T } | { error: string };

/** Longer than the service may take while the database is silent (10 s). */
const PATIENCE_MS = 12_000;

/** @returns the id */
export async function createByRest(url: string, order: Order): Promise<Answer<string[]>> {
  const { runAt, maxAttempts, timeoutSeconds, idempotencyKey, ...rest } = order;
  const body = {
    ...rest,
    run_at: runAt,
    max_attempts: maxAttempts,
    timeout_seconds: timeoutSeconds,
  };
  const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
  const answer = await askRest(url, 'POST', '/api/v1/tasks/', headers, body);
  return 'got' in answer ? { got: [answer.got.id] } : answer;
}

/** @returns the ids, in the order of the input */
export async function createByGraphql(
  url: string,
  orders: readonly Order[],
): Promise<Answer<string[]>> {
  const [input] = orders;
  if (orders.length === 1) {
    const answer = await graphql<{ createTask: { id: string } }>(url, CREATE_ONE, { input });
    return 'got' in answer ? { got: [answer.got.createTask.id] } : answer;
  }
  const answer = await graphql<{ createTasks: { id: string }[] }>(url, CREATE_MANY, {
    input: orders,
  });
  return 'got' in answer ? { got: answer.got.createTasks.map(({ id }) => id) } : answer;
}

/** @returns the status that it then had */
export async function cancelByRest(url: string, id: string): Promise<Answer<string>> {
  const answer = await askRest(url, 'DELETE', `/api/v1/tasks/${id}`);
  return 'got' in answer ? { got: answer.got.status } : answer;
}

/** @returns the status that it then had */
export async function cancelByGraphql(url: string, id: string): Promise<Answer<string>> {
  const answer = await graphql<{ cancelTask: { status: string } }>(url, CANCEL, { id });
  return 'got' in answer ? { got: answer.got.cancelTask.status } : answer;
}

/** @returns the status that it then had */
export async function retryTask(url: string, id: string): Promise<Answer<string>> {
  const answer = await graphql<{ retryTask: { status: string } }>(url, RETRY, { id });
  return 'got' in answer ? { got: answer.got.retryTask.status } : answer;
}

const CREATE_ONE = 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }';
const CREATE_MANY = 'mutation ($input: [CreateTaskInput!]!) { createTasks(input: $input) { id } }';
const CANCEL = 'mutation ($id: ID!) { cancelTask(id: $id, reason: "soak") { status } }';
const RETRY = 'mutation ($id: ID!) { retryTask(id: $id) { status } }';

async function askRest(
  url: string,
  method: 'POST' | 'DELETE',
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<Answer<{ id: string; status: string }>> {
  const answer = await send(url + path, method, headers, body);
  if ('error' in answer) return answer;
  const { status, json } = answer.got;
  if (status !== 200 && status !== 201) return { error: `REST ${status}` };
  return { got: json as { id: string; status: string } };
}

async function graphql<Data>(
  url: string,
  query: string,
  variables: Record<string, unknown>,
): Promise<Answer<Data>> {
  const answer = await send(`${url}/graphql`, 'POST', {}, { query, variables });
  if ('error' in answer) return answer;
  const { data, errors } = answer.got.json as GraphqlAnswer<Data>;
  const [error] = errors ?? [];
  if (error !== undefined) {
    return { error: `GraphQL ${error.extensions?.code ?? error.message}` };
  }
  if (!data) return { error: `GraphQL ${answer.got.status} without data` };
  return { got: data };
}

interface GraphqlAnswer<Data> {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

async function send(
  url: string,
  method: 'POST' | 'DELETE',
  headers: Record<string, string>,
  body: unknown,
): Promise<Answer<{ status: number; json: unknown }>> {
  try {
    const answer = await fetch(url, {
      method,
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body === undefined
        ? {}
        : {
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(body),
          }),
    });
    return { got: { status: answer.status, json: await answer.json() } };
  } catch (error) {
    return { error: failureOf(error) };
  }
}

/** The name of what went wrong below HTTP. */
function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer in ${PATIENCE_MS / 1_000} s`;
  const { cause } = error;
  if (typeof cause === 'object' && cause !== null && 'code' in cause) return String(cause.code);
  return error.message;
}

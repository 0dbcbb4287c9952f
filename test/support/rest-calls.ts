/** An answer of the REST API, as any client sees it. */
export interface Answer {
  status: number;
  contentType: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: a test says by its expectations what it should be
  body: any;
}

/** @param url of the service */
export async function request(
  url: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
  const contentType = response.headers.get('content-type');
  return { status: response.status, contentType, body: await response.json() };
}

/** Creates a task. @returns the task @throws Error with what the service answered, if that is not 201 */
export async function createTask(
  url: string,
  input: Record<string, unknown>,
): Promise<{ id: string; status: string }> {
  const { status, body } = await request(url, 'POST', '/api/v1/tasks/', {
    title: 'an errand',
    ...input,
  });
  if (status !== 201) throw new Error(`POST answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Cancels a task. @returns the task */
export async function cancelTask(url: string, id: string): Promise<{ status: string }> {
  const { status, body } = await request(url, 'DELETE', `/api/v1/tasks/${id}`);
  if (status !== 200) throw new Error(`DELETE answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

import type { Subscription } from './audience.ts';

const FIELDS = '{ cursor taskId version status previousStatus attempt at reason }';

export function watchTask(id: string): Subscription {
  const query = `subscription ($id: ID!) { taskStatusChanged(id: $id) ${FIELDS} }`;
  return { query, variables: { id } };
}

/** @param after a cursor: nothing that comes later is missed, whenever the server gets to it */
export function watchTasks(filter: Record<string, unknown>, after: string): Subscription {
  const query = `subscription ($filter: TaskFilter, $after: String) { taskStatusChanged(filter: $filter, after: $after) ${FIELDS} }`;
  return { query, variables: { filter, after } };
}

/** Many subscriptions for each socket, as they come. */
export function onSockets(subscriptions: readonly Subscription[], perSocket: number) {
  return Array.from({ length: Math.ceil(subscriptions.length / perSocket) }, (_, i) =>
    subscriptions.slice(i * perSocket, (i + 1) * perSocket),
  );
}

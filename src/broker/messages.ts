import type { TaskChange, TaskPriority, TaskStatus } from '../domain/task.ts';

/** What travels through a task queue: only where to look. The row is the truth. */
export interface TaskMessage {
  id: string;
  priority: TaskPriority;
  /**
   * When its row was stored, or is about to be, in milliseconds by the database's clock. Set when that is not committed
   * yet, so that whoever finds no row can tell one that is about to come from one that never will.
   */
  storedAt?: number | undefined;
}

/** Topic exchange that carries every change of status, and the progress of runs. */
export const EVENTS_EXCHANGE = 'task.events';

/**
 * Fanout exchange that carries the changes which end a run from outside once more, to every worker. Workers bind nothing
 * at the topic exchange: a pattern with wildcards there costs RabbitMQ a search for each change of each task.
 */
export const CANCELLATIONS_EXCHANGE = 'task.cancellations';

/** Whether a change ends a run from outside, so that whoever runs the task has to hear of it. */
export function cancelsRun({ event }: TaskChange): boolean {
  return event.previousStatus === 'IN_PROGRESS' && event.status === 'CANCELLED';
}

/** `task.<id>.<PRIORITY>.<STATUS>`: the routing key under which a change is announced. */
export function eventRoutingKey({ task, event }: TaskChange): string {
  return `task.${task.id}.${task.priority}.${event.status}`;
}

/** Binding pattern for all that is given; what is left out matches anything. */
export function eventPattern(
  match: { id?: string; priority?: TaskPriority; status?: TaskStatus } = {},
): string {
  return `task.${match.id ?? '*'}.${match.priority ?? '*'}.${match.status ?? '*'}`;
}

/**
 * `progress.<id>`: the routing key under which the progress of a task's runs is announced, and the binding pattern for
 * it, or for that of all tasks. Its first word keeps it from all that is bound by `eventPattern`.
 */
export function progressPattern(taskId = '*'): string {
  return `${PROGRESS}.${taskId}`;
}

/** Whether it is progress that travels under this routing key; a change if not. */
export function isProgressKey(routingKey: string): boolean {
  return routingKey.startsWith(`${PROGRESS}.`);
}

const PROGRESS = 'progress';

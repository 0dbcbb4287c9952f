import type { TaskPriority } from '../domain/task.ts';
import { CANCELLATIONS_EXCHANGE, EVENTS_EXCHANGE } from './messages.ts';

/** What this service calls its own in RabbitMQ. */
export interface RabbitNames {
  tasksExchange: string;
  taskQueue: Readonly<Record<TaskPriority, string>>;
  /** Both the exchange and the queue behind it. */
  dead: string;
  eventsExchange: string;
  cancellationsExchange: string;
}

/** With a namespace every name is prefixed, so that several services (or tests) can share one virtual host. */
export function rabbitNames(namespace?: string): RabbitNames {
  const prefix = namespace === undefined ? '' : `${namespace}.`;
  return {
    tasksExchange: `${prefix}tasks`,
    taskQueue: {
      HIGH: `${prefix}tasks.high`,
      MEDIUM: `${prefix}tasks.medium`,
      LOW: `${prefix}tasks.low`,
    },
    dead: `${prefix}tasks.dead`,
    eventsExchange: `${prefix}${EVENTS_EXCHANGE}`,
    cancellationsExchange: `${prefix}${CANCELLATIONS_EXCHANGE}`,
  };
}

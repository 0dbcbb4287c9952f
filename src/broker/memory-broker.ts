import { setImmediate as afterPending } from 'node:timers/promises';
import type { TaskPriority } from '../domain/task.ts';
import { TASK_PRIORITIES } from '../domain/task.ts';
import type { Broker } from './broker.ts';
import { BrokerUnavailable } from './broker.ts';
import { createMemoryEvents } from './memory-events.ts';
import type { MemoryQueue } from './memory-queue.ts';
import { createMemoryQueue } from './memory-queue.ts';

/**
 * The broker inside one process, for `make start`: nothing to install, and nothing kept when the process ends (the
 * dispatcher re-sends what the database still knows to be waiting).
 */
export function createMemoryBroker(): Broker {
  const queues = {
    HIGH: createMemoryQueue(),
    MEDIUM: createMemoryQueue(),
    LOW: createMemoryQueue(),
  } satisfies Record<TaskPriority, MemoryQueue>;
  const events = createMemoryEvents();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new BrokerUnavailable('The broker is closed');
  }

  return {
    get ready() {
      return !closed;
    },
    isRemote: false,
    // Usable from the start, and it is never away: there is no return to tell of.
    onReady: () => () => {},
    async publishTasks(messages) {
      assertOpen();
      for (const message of messages) queues[message.priority].add(message);
    },
    async consumeTasks({ slots, onTask }) {
      assertOpen();
      const takers = TASK_PRIORITIES.filter((priority) => slots[priority] > 0).map((priority) =>
        queues[priority].take(slots[priority], onTask),
      );
      return {
        async stop() {
          for (const taker of takers) taker.stop();
        },
      };
    },
    async queueDepth(priority) {
      assertOpen();
      return queues[priority].depth;
    },
    publishEvents(changes) {
      if (!closed) events.announceChanges(changes);
    },
    publishProgress(progress) {
      if (!closed) events.announceProgress(progress);
    },
    async openEventStream(listener) {
      assertOpen();
      return events.open(listener);
    },
    async openCancellations(listener) {
      assertOpen();
      return events.openCancellations(listener);
    },
    async close() {
      closed = true;
      for (const priority of TASK_PRIORITIES) queues[priority].close();
      // What was announced before the end is still delivered, as RabbitMQ does.
      await afterPending();
      events.close();
    },
  };
}

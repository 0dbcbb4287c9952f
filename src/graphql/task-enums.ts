import type { AttemptOutcome, TaskPriority, TaskStatus } from '../domain/task.ts';
import { builder } from './builder.ts';

export const TaskPriorityEnum = builder.enumType('TaskPriority', {
  description:
    'Which of the three queues carries a task. Every worker has slots for each, so none starves.',
  values: {
    HIGH: { description: 'The queue `tasks.high`. `simulate` takes 2 seconds here.' },
    MEDIUM: { description: 'The queue `tasks.medium`, the default. `simulate` takes 5 seconds.' },
    LOW: { description: 'The queue `tasks.low`. `simulate` takes 10 seconds here.' },
  } satisfies Record<TaskPriority, object>,
});

export const TaskStatusEnum = builder.enumType('TaskStatus', {
  description: 'Where a task stands.',
  values: {
    NEW: {
      description:
        'Stored, not in the queue: its `runAt` or its retry lies ahead, or RabbitMQ has not confirmed it yet.',
    },
    PENDING: { description: 'RabbitMQ has confirmed it; it waits for a worker.' },
    IN_PROGRESS: { description: 'A live worker holds the claim and runs it.' },
    COMPLETED: { description: 'Final: the handler returned, and `result` is stored.' },
    FAILED: {
      description:
        'Final unless retried: the attempts are used up, the handler said not to retry, three workers died while they ' +
        'ran it, no worker had a handler for its type for a day, or its result cannot be stored. `error` says why.',
    },
    CANCELLED: {
      description:
        'Final unless retried: a client cancelled it, or it was not started by its deadline.',
    },
  } satisfies Record<TaskStatus, object>,
});

export const AttemptOutcomeEnum = builder.enumType('AttemptOutcome', {
  description: 'How one run of a task ended.',
  values: {
    COMPLETED: { description: 'The handler returned.' },
    FAILED: { description: 'The handler threw.' },
    TIMED_OUT: { description: 'The handler took longer than the `timeoutSeconds` of the task.' },
    CANCELLED: { description: 'A client cancelled the task while it ran.' },
    WORKER_DIED: { description: 'The worker that ran it stopped sending heartbeats.' },
    RELEASED: {
      description:
        'The worker gave the task back, mostly because it shut down; no attempt was used up.',
    },
  } satisfies Record<AttemptOutcome, object>,
});

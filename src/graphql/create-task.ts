import { MAX_BATCH } from '../domain/new-task.ts';
import { parseInput } from '../domain/parse.ts';
import { builder } from './builder.ts';
import { TaskRef } from './task.ts';
import { TaskPriorityEnum } from './task-enums.ts';

const RetryPolicyInput = builder.inputType('RetryPolicyInput', {
  description:
    'How the retries of a task are spaced. What is left out or null is as its type says; commonly 1 s, doubled with ' +
    'each failure up to 10 minutes, less up to 20 % by chance.',
  fields: (t) => ({
    baseSeconds: t.float({
      description: 'The delay after the first failure: 0 to 86,400 (a day).',
    }),
    factor: t.float({
      description: 'Each further failure multiplies the delay by this: 1 to 100.',
    }),
    capSeconds: t.float({ description: 'No delay is longer: 0 to 604,800 (a week).' }),
    jitter: t.float({ description: 'The share of each delay that chance may take off: 0 to 1.' }),
  }),
});

const CreateTaskInput = builder.inputType('CreateTaskInput', {
  description: 'A task as a client asks for it. What is null counts as left out.',
  fields: (t) => ({
    title: t.string({
      required: true,
      description: 'What a person reads in a list: 1 to 255 characters, not blank.',
    }),
    description: t.string({ description: 'Free text, up to 10,000 characters; empty by default.' }),
    priority: t.field({
      type: TaskPriorityEnum,
      defaultValue: 'MEDIUM',
      description: 'Which queue carries it.',
    }),
    type: t.string({ description: 'Name of the handler that runs it; `simulate` by default.' }),
    payload: t.field({
      type: 'JSON',
      description:
        'Input of the handler, up to 256 KiB. `simulate` takes `{"durationMs": 50, "failAttempts": 1, "error": "boom"}`, all optional.',
    }),
    runAt: t.field({
      type: 'DateTime',
      description: 'Not before this moment, at most a year ahead; at once by default.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description:
        'Cancel it if no run has started by then: after `runAt` and now, by at most a year. It waits for ever by ' +
        'default. Not together with `ttlSeconds`. With an `idempotencyKey` it may have passed, since this may be a ' +
        'repeat.',
    }),
    ttlSeconds: t.int({
      description:
        'The same as `expiresAt`, in seconds from `runAt`, or from now if that is later: 1 to 31,622,400.',
    }),
    maxAttempts: t.int({ description: 'How many runs it may use up: 1 to 100, 3 by default.' }),
    timeoutSeconds: t.int({
      description: 'Abort a run that takes longer: 1 to 604,800 (a week); no limit by default.',
    }),
    retry: t.field({
      type: RetryPolicyInput,
      description: 'How its retries are spaced; as its type says by default.',
    }),
    idempotencyKey: t.string({
      description:
        'Up to 255 characters. Repeating the call with the same key and input answers with the first task; ' +
        'with other input it is refused. REST shares the keys.',
    }),
  }),
});

builder.mutationField('createTask', (t) =>
  t.field({
    type: TaskRef,
    description:
      'Stores a task and hands it to the workers. It is never lost from then on. Its status is PENDING, ' +
      'or NEW when `runAt` lies ahead or RabbitMQ is away.',
    args: { input: t.arg({ type: CreateTaskInput, required: true, description: 'The task.' }) },
    resolve: async (_root, { input }, { service, newTask }) => {
      const { task } = await service.create(parseInput(newTask, input, ['input']));
      return task;
    },
  }),
);

builder.mutationField('createTasks', (t) =>
  t.field({
    type: [TaskRef],
    description:
      'The same for many tasks: all or none of them, answered in the order of the input.',
    args: {
      input: t.arg({
        type: [CreateTaskInput],
        required: true,
        description: `The tasks, 1 to ${MAX_BATCH.toLocaleString('en-US')}.`,
      }),
    },
    resolve: async (_root, { input }, { service, newTasks }) => {
      const created = await service.createMany(parseInput(newTasks, input, ['input']));
      return created.map(({ task }) => task);
    },
  }),
);

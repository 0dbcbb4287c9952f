import { z } from 'zod';
import {
  DEFAULT_MAX_ATTEMPTS,
  DEFAULT_TYPE,
  hasDeadlineAhead,
  type NewTask,
  newTaskFields,
} from '../domain/new-task.ts';
import { taskRetryFields, toTaskRetry } from '../domain/task-retry.ts';
import { fitsType, type TaskTypes } from '../domain/task-types.ts';

/**
 * The body of `POST /tasks`, parsed to what the service takes. Null means the same as left out.
 * @param options.hasKey whether it comes with an idempotency key, which REST says in a header
 */
export function newTaskJson(types: TaskTypes, { hasKey = false } = {}): z.ZodType<NewTask> {
  const names = { runAt: 'run_at', expiresAt: 'expires_at', ttlSeconds: 'ttl_seconds' };
  return newTaskBody(types)
    .transform(toNewTask)
    .superRefine(fitsType(types))
    .superRefine(hasDeadlineAhead(names, () => hasKey));
}

function newTaskBody(types: TaskTypes) {
  const known = Object.entries(types).map(
    ([name, { description }]) => `\`${name}\`: ${description}`,
  );
  return z
    .strictObject(
      {
        title: newTaskFields.title.meta({
          description: 'What it is, in a few words.',
          examples: ['Resize the holiday photos'],
        }),
        description: newTaskFields.description.nullish().meta({
          description: 'More about it.',
          default: '',
          examples: ['All 312 of them, to 1080p.'],
        }),
        priority: newTaskFields.priority.nullish().meta({
          description: 'Which of the three queues it takes.',
          default: 'MEDIUM',
          examples: ['HIGH'],
        }),
        type: newTaskFields.type.nullish().meta({
          description: `The name of the handler that runs it. ${known.join(' ')}`,
          default: DEFAULT_TYPE,
          examples: Object.keys(types),
        }),
        payload: newTaskFields.payload.nullish().meta({
          description: 'What its handler is given: any JSON that its type takes, of up to 256 KiB.',
          default: null,
          examples: [{ durationMs: 500 }],
        }),
        run_at: moment
          .pipe(newTaskFields.runAt)
          .nullish()
          .meta({
            description:
              'The earliest time to run it, at most a year ahead. At once when left out.',
            default: null,
            examples: ['2030-01-31T12:00:00Z'],
          }),
        expires_at: moment
          .pipe(newTaskFields.expiresAt)
          .nullish()
          .meta({
            description:
              'Cancel it if no run has started by then: after `run_at` and now, by at most a year. It waits for ever ' +
              'when left out. Not together with `ttl_seconds`. With an idempotency key it may have passed, since ' +
              'this may be a repeat.',
            default: null,
            examples: ['2030-01-31T13:00:00Z'],
          }),
        ttl_seconds: newTaskFields.ttlSeconds.nullish().meta({
          description:
            'The same as `expires_at`, in seconds from `run_at`, or from now if that is later.',
          default: null,
          examples: [3600],
        }),
        max_attempts: newTaskFields.maxAttempts.nullish().meta({
          description: 'How many runs it may have before it is FAILED.',
          default: DEFAULT_MAX_ATTEMPTS,
          examples: [5],
        }),
        timeout_seconds: newTaskFields.timeoutSeconds.nullish().meta({
          description: 'How long one run may take. As long as it likes when left out.',
          default: null,
          examples: [60],
        }),
        retry: retryJson.nullish().meta({
          description:
            'How its retries are spaced. What is left out is as its type says; commonly 1 s, doubled with each ' +
            'failure up to 10 minutes, less up to 20 % by chance.',
          default: null,
          examples: [{ base_seconds: 0.5, cap_seconds: 30 }],
        }),
      },
      {
        error: ({ code }) =>
          code === 'invalid_type' ? 'The body must be a JSON object' : undefined,
      },
    )
    .meta({
      description: 'A task to create.',
      examples: [
        { title: 'Resize the holiday photos', priority: 'HIGH', payload: { durationMs: 500 } },
      ],
    });
}

const NOT_A_TIME = 'must be an RFC 3339 time such as 2030-01-31T12:00:00Z';

/** Its letters may be small, as the RFC has it. */
const moment = z
  .string({ error: NOT_A_TIME })
  .toUpperCase()
  .meta({ format: 'date-time' })
  .pipe(z.iso.datetime({ offset: true, error: NOT_A_TIME }))
  .transform((text) => new Date(text));

const retryJson = z.strictObject(
  {
    base_seconds: taskRetryFields.baseSeconds.nullish().meta({
      description: 'The delay after the first failure.',
    }),
    factor: taskRetryFields.factor.nullish().meta({
      description: 'Each further failure multiplies the delay by this.',
    }),
    cap_seconds: taskRetryFields.capSeconds.nullish().meta({ description: 'No delay is longer.' }),
    jitter: taskRetryFields.jitter.nullish().meta({
      description: 'The share of each delay that chance may take off.',
    }),
  },
  { error: ({ code }) => (code === 'invalid_type' ? 'must be an object' : undefined) },
);

function toNewTask(json: z.infer<ReturnType<typeof newTaskBody>>): NewTask {
  return {
    title: json.title,
    description: json.description ?? '',
    priority: json.priority ?? 'MEDIUM',
    type: json.type ?? DEFAULT_TYPE,
    payload: json.payload ?? null,
    runAt: json.run_at ?? null,
    expiresAt: json.expires_at ?? null,
    ttlSeconds: json.ttl_seconds ?? null,
    maxAttempts: json.max_attempts ?? DEFAULT_MAX_ATTEMPTS,
    timeoutSeconds: json.timeout_seconds ?? null,
    retry: json.retry == null ? null : fromRetryJson(json.retry),
    idempotencyKey: null,
  };
}

function fromRetryJson({ base_seconds, factor, cap_seconds, jitter }: z.infer<typeof retryJson>) {
  return toTaskRetry({ baseSeconds: base_seconds, factor, capSeconds: cap_seconds, jitter });
}

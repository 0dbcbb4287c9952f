import type { z } from 'zod';
import type { RetryPolicy } from './retry-policy.ts';
import type { Json } from './task.ts';

/** What the API must know about a kind of task in order to accept one: everything but how it runs. */
export interface TaskType {
  /** One sentence for the people who read the API's documentation. */
  readonly description: string;
  /** What a payload must look like; anything goes when left out. */
  readonly payload?: z.ZodType;
  /** How failed attempts are spaced; exponential from 1 s when left out. */
  readonly retry?: RetryPolicy;
}

/** By the name that clients use. */
export type TaskTypes = Readonly<Record<string, TaskType>>;

/** Refines a schema with `type` and `payload`: there must be such a type, and the payload must fit it. */
export function fitsType(types: TaskTypes) {
  return (
    input: { type: string; payload: Json | null },
    context: z.core.$RefinementCtx<{ type: string; payload: Json | null }>,
  ): void => {
    const type = Object.hasOwn(types, input.type) ? types[input.type] : undefined;
    if (type === undefined) {
      const message = `must be one of ${Object.keys(types).join(', ')}`;
      context.addIssue({ code: 'custom', path: ['type'], message });
      return;
    }
    for (const issue of type.payload?.safeParse(input.payload).error?.issues ?? []) {
      context.addIssue({ ...issue, path: ['payload', ...issue.path] });
    }
  };
}

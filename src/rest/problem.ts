import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';

/** What every refusal looks like: RFC 9457, with `errors` for invalid input. */
export const problemJson = z
  .object({
    type: z.literal('about:blank').meta({ description: 'The status says what kind it is.' }),
    title: z.string().meta({ description: 'The name of the status.' }),
    status: z.int().meta({ description: 'The HTTP status once more.' }),
    detail: z.string().meta({ description: 'What went wrong this time, for people.' }),
    instance: z.string().optional().meta({
      description: 'The request as the log knows it; only when the fault is on our side.',
    }),
    errors: z
      .array(
        z.object({
          path: z.array(z.union([z.string(), z.int()])).meta({
            description: 'Keys and indexes from the root of what was sent.',
          }),
          message: z.string().meta({ description: 'What is wrong there.' }),
        }),
      )
      .optional()
      .meta({ description: 'Each thing that is wrong with the input.' }),
  })
  .meta({
    description: 'Why a request was refused, as RFC 9457 has it.',
    examples: [
      {
        type: 'about:blank',
        title: 'Unprocessable Entity',
        status: 422,
        detail: 'title: is required',
        errors: [{ path: ['title'], message: 'is required' }],
      },
    ],
  });

export type Problem = z.infer<typeof problemJson>;

export function problem(
  status: number,
  detail: string,
  more: Pick<Problem, 'instance' | 'errors'> = {},
): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  return { type: 'about:blank', title, status, detail, ...more };
}

export const PROBLEM_TYPE = 'application/problem+json';

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
}

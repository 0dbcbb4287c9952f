import type { z } from 'zod';
import { jsonSchema } from './json-schema.ts';
import { PROBLEM_TYPE, problem } from './problem.ts';

/** One method of one path, in OpenAPI's words. */
export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  parameters?: object[];
  requestBody?: object;
  responses: Record<string, object>;
}

/** Operations by path and method. */
export type Paths = Record<string, Record<string, Operation>>;

export function ref(schema: string): object {
  return { $ref: `#/components/schemas/${schema}` };
}

/** The parameters of a query, from what it is parsed with. */
export function queryParameters(shape: Record<string, z.ZodType>): object[] {
  return Object.entries(shape).map(([name, schema]) => {
    const { description, ...rest } = { description: '', ...jsonSchema(schema, 'output') };
    return { name, in: 'query', description, schema: rest };
  });
}

/** An answer in JSON. */
export function answer(
  description: string,
  schema: object,
  example: unknown,
  headers: Record<string, string> = {},
): object {
  return {
    description,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, about]) => {
        return [name, { description: about, schema: { type: 'string' } }];
      }),
    ),
    content: { 'application/json': { schema, example } },
  };
}

/** A refusal, as problem+json: `[status]: answer`, to be spread into an operation's responses. */
export function refusal(
  status: number,
  detail: string,
  errors?: { path: (string | number)[]; message: string }[],
): Record<string, object> {
  const example = problem(status, detail, errors && { errors });
  const description = `${example.title}, as RFC 9457 has it.`;
  return {
    [status]: { description, content: { [PROBLEM_TYPE]: { schema: ref('Problem'), example } } },
  };
}

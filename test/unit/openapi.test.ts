import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { healthOperations } from '../../src/http/health-operations.ts';
import { newTaskJson } from '../../src/rest/new-task-json.ts';
import { openApiDocument } from '../../src/rest/openapi.ts';
import type { Operation } from '../../src/rest/operation.ts';
import { problemJson } from '../../src/rest/problem.ts';
import { taskEventJson } from '../../src/rest/task-event-json.ts';
import { taskJson } from '../../src/rest/task-json.ts';

const taskTypes = { simulate: { description: 'Pretends to work.' } };
const document = openApiDocument({ taskTypes, parts: [healthOperations] });

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]): [string, Operation] => {
    return [`${method.toUpperCase()} ${path}`, operation];
  }),
);

describe('the OpenAPI document', () => {
  test('has every operation of the contract', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(operations.map(([name]) => name).sort()).toEqual([
      'DELETE /api/v1/tasks/{id}',
      'GET /api/v1/events',
      'GET /api/v1/tasks',
      'GET /api/v1/tasks/{id}',
      'GET /api/v1/tasks/{id}/events',
      'GET /api/v1/tasks/{id}/status',
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'POST /api/v1/tasks',
    ]);
  });

  test.each(operations)(
    'says of %s what it does and answers, with examples',
    (_name, operation) => {
      expect(operation.summary).toMatch(/./);
      expect(Object.keys(operation.responses)).not.toEqual([]);
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response).toMatchObject({ description: expect.stringMatching(/./) });
        const content = Object.values('content' in response ? Object(response.content) : {});
        const body = { schema: expect.any(Object), example: expect.anything() };
        expect(content).toEqual(status === '204' ? [] : [body]);
      }
    },
  );

  test('has no reference that leads nowhere', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to);
    const known = Object.keys(document.components.schemas).map(
      (name) => `#/components/schemas/${name}`,
    );
    expect(refs).not.toEqual([]);
    expect(known).toEqual(expect.arrayContaining(refs));
  });

  test('describes every field of a task to create, with its default', () => {
    expect(document.components.schemas.NewTask).toMatchObject({
      additionalProperties: false,
      required: ['title'],
      properties: {
        title: { type: 'string', minLength: 1, maxLength: 255 },
        description: { default: '' },
        priority: { default: 'MEDIUM' },
        type: { default: 'simulate', description: expect.stringContaining('Pretends to work.') },
        run_at: { default: null, examples: [expect.any(String)] },
        expires_at: { default: null },
        ttl_seconds: { default: null, examples: [3600] },
        max_attempts: { default: 3 },
      },
    });
  });

  test('gives the bounds of the list, as numbers', () => {
    const list = document.paths['/api/v1/tasks']?.get;
    expect(list?.parameters).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          name: 'limit',
          schema: { type: 'integer', minimum: 1, maximum: 100, default: 10 },
        }),
        expect.objectContaining({ name: 'status' }),
      ]),
    );
  });

  test('has examples that its own schemas take', () => {
    const valid = (schema: z.ZodType): unknown[] => {
      return z.array(z.unknown()).parse(z.globalRegistry.get(schema)?.examples);
    };
    for (const schema of [taskJson, taskEventJson, problemJson]) {
      expect(valid(schema)).not.toEqual([]);
      for (const example of valid(schema)) expect(schema.safeParse(example).success).toBe(true);
    }
    const { examples } = z
      .object({ examples: z.array(z.unknown()) })
      .parse(document.components.schemas.NewTask);
    for (const example of examples) {
      expect(newTaskJson(taskTypes).safeParse(example).success).toBe(true);
    }
  });
});

import { z } from 'zod';
import { jsonSchema } from '../rest/json-schema.ts';
import type { OpenApiPart } from '../rest/openapi.ts';
import { answer, ref } from '../rest/operation.ts';

const database = z.boolean().meta({ description: 'Whether PostgreSQL answers.' });
const rabbitmq = z.boolean().meta({ description: 'Whether RabbitMQ takes messages.' });

export const healthJson = z
  .object({ database, rabbitmq, status: z.boolean().meta({ description: 'Both.' }) })
  .meta({ description: 'What the service can reach.' });

export const readinessJson = z
  .object({
    ready: z.boolean().meta({ description: 'Whether to send requests here.' }),
    draining: z.boolean().meta({ description: 'Whether the process is on its way out.' }),
    database,
    rabbitmq,
  })
  .meta({ description: 'Whether this process should get requests.' });

export const livenessJson = z
  .object({ live: z.literal(true).meta({ description: 'It answered.' }) })
  .meta({ description: 'That the process answers.' });

const tags = ['Health'];
const readyExample = { ready: true, draining: false, database: true, rabbitmq: true };

/** The routes of `health.ts`, for the OpenAPI document. */
export const healthOperations: OpenApiPart = {
  tag: { name: 'Health', description: 'For load balancers, and for whoever is on call.' },
  paths: {
    '/health': {
      get: {
        operationId: 'getHealth',
        summary: 'What the service can reach',
        description: 'Always 200, within 2 s.',
        tags,
        responses: {
          200: answer('What is there.', ref('Health'), {
            database: true,
            rabbitmq: true,
            status: true,
          }),
        },
      },
    },
    '/health/live': {
      get: {
        operationId: 'getLiveness',
        summary: 'Whether the process answers',
        tags,
        responses: { 200: answer('It does.', ref('Liveness'), { live: true }) },
      },
    },
    '/health/ready': {
      get: {
        operationId: 'getReadiness',
        summary: 'Whether to send requests here',
        tags,
        responses: {
          200: answer('Yes.', ref('Readiness'), readyExample),
          503: answer('No: the database is away, or the process is draining.', ref('Readiness'), {
            ...readyExample,
            ready: false,
            draining: true,
          }),
        },
      },
    },
  },
  schemas: {
    Health: jsonSchema(healthJson, 'output'),
    Liveness: jsonSchema(livenessJson, 'output'),
    Readiness: jsonSchema(readinessJson, 'output'),
  },
};

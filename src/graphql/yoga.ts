import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { Logger } from 'pino';
import { z } from 'zod';
import { MAX_BATCH, newTaskSchema } from '../domain/new-task.ts';
import type { TaskTypes } from '../domain/task-types.ts';
import { useBadRequests } from './bad-requests.ts';
import type { GraphqlContext } from './builder.ts';
import { useDocumentLimits } from './document-limits.ts';
import { createMaskError, type MaskError } from './errors.ts';
import { graphiql } from './graphiql.ts';
import { createKnownDocuments } from './known-documents.ts';
import { useLiteralIssues } from './literal-issues.ts';
import { type ServerContext, useLiveResults } from './live-result.ts';
import { createSchema } from './schema.ts';
import { useSelectionLimits } from './selection-limits.ts';
import { useVariableIssues } from './variable-issues.ts';

/** GraphQL without a transport: `http/` puts it on HTTP and on WebSocket. */
export interface GraphqlServer {
  readonly yoga: YogaServerInstance<ServerContext, GraphqlContext>;
  /** For what fails outside of Yoga's pipeline. */
  readonly maskError: MaskError;
}

export function createGraphqlServer(
  options: Pick<GraphqlContext, 'service' | 'feed' | 'prisma'> & {
    taskTypes: TaskTypes;
    log: Logger;
  },
): GraphqlServer {
  const { service, feed, prisma, taskTypes, log } = options;
  const newTask = newTaskSchema(taskTypes);
  const context = { service, feed, prisma, newTask, newTasks: batchOf(newTask) };
  const maskError = createMaskError(log);
  const yoga = createYoga<ServerContext, GraphqlContext>({
    schema: createSchema(),
    context: () => context,
    maskedErrors: { maskError },
    // Yoga would keep a thousand documents of any size, and as many that it could not parse.
    parserAndValidationCache: {
      documentCache: createKnownDocuments(),
      errorCache: { get: () => undefined, set: () => {} },
    },
    plugins: [
      useDocumentLimits(),
      useSelectionLimits(),
      useLiteralIssues(),
      useVariableIssues(),
      useLiveResults(maskError),
      useBadRequests(),
    ],
    ...graphiql,
    landingPage: false,
    // Masking logs, once, what is worth it.
    logging: false,
    batching: false,
    multipart: false,
    // The HTTP server limits bodies; doing it here costs a copy of each.
    maxRequestBodySize: false,
    // Any page may call this API, as anyone can with curl. There are no cookies to protect, and none are accepted.
    cors: { origin: '*', credentials: false, methods: ['GET', 'POST', 'OPTIONS'], maxAge: 86_400 },
  });
  return { yoga, maskError };
}

function batchOf<T>(schema: z.ZodType<T>): z.ZodType<T[]> {
  return z
    .array(schema)
    .min(1, { error: 'must have at least one task' })
    .max(MAX_BATCH, { error: `must have at most ${MAX_BATCH.toLocaleString('en-US')} tasks` });
}

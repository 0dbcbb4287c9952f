import { readFile } from 'node:fs/promises';
import {
  buildSchema,
  isEnumType,
  isInputObjectType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
  lexicographicSortSchema,
  parse,
  print,
  printSchema,
  validate,
  visit,
} from 'graphql';
import { expect, test } from 'vitest';
import { EXAMPLE_OPERATIONS } from '../../src/graphql/example-operations.ts';
import { createSchema } from '../../src/graphql/schema.ts';

const schema = createSchema();

/** The contract: DESIGN 2.5, with what it leaves to Relay and to 2.3 written out. */
const CONTRACT = `
  scalar DateTime
  scalar JSON
  enum TaskPriority { HIGH MEDIUM LOW }
  enum TaskStatus { NEW PENDING IN_PROGRESS COMPLETED FAILED CANCELLED }
  enum AttemptOutcome { COMPLETED FAILED TIMED_OUT CANCELLED WORKER_DIED RELEASED }

  type Task { id: ID!  title: String!  description: String!  priority: TaskPriority!  status: TaskStatus!  type: String!
    payload: JSON  result: JSON  error: TaskError  attempt: Int!  maxAttempts: Int!  progress: Float  progressMessage: String
    version: Int!  createdAt: DateTime!  runAt: DateTime!  expiresAt: DateTime  startedAt: DateTime  finishedAt: DateTime
    attempts: [TaskAttempt!]!  events: [TaskEvent!]! }
  type TaskError { name: String!  message: String!  stack: String  attempt: Int! }
  type TaskAttempt { number: Int!  workerId: String  startedAt: DateTime!  finishedAt: DateTime  outcome: AttemptOutcome  error: TaskError }
  type TaskEvent { cursor: String!  taskId: ID!  version: Int!  status: TaskStatus!  previousStatus: TaskStatus
    attempt: Int!  at: DateTime!  reason: String  task: Task! }

  type TaskConnection { edges: [TaskEdge!]!  pageInfo: PageInfo!  totalCount: Int! }
  type TaskEdge { cursor: String!  node: Task! }
  type PageInfo { hasNextPage: Boolean!  hasPreviousPage: Boolean!  startCursor: String  endCursor: String }

  type Query {
    task(id: ID!): Task
    tasks(filter: TaskFilter, first: Int, after: String, last: Int, before: String): TaskConnection!
  }
  input TaskFilter { ids: [ID!]  status: [TaskStatus!]  priority: [TaskPriority!]  type: [String!]  search: String
    createdAfter: DateTime  createdBefore: DateTime }
  input CreateTaskInput { title: String!  description: String  priority: TaskPriority = MEDIUM  type: String  payload: JSON
    runAt: DateTime  expiresAt: DateTime  ttlSeconds: Int  maxAttempts: Int  timeoutSeconds: Int  retry: RetryPolicyInput  idempotencyKey: String }
  input RetryPolicyInput { baseSeconds: Float  factor: Float  capSeconds: Float  jitter: Float }
  type Mutation {
    createTask(input: CreateTaskInput!): Task!
    createTasks(input: [CreateTaskInput!]!): [Task!]!
    cancelTask(id: ID!, reason: String): Task!
    retryTask(id: ID!): Task!
    cancelTasks(filter: TaskFilter!, reason: String): BulkResult!
    retryTasks(filter: TaskFilter!): BulkResult!
  }
  type BulkResult { count: Int! }
  type Subscription {
    taskStatusChanged(id: ID, filter: TaskFilter, after: String): TaskEvent!
    tasksChanged(filter: TaskFilter, after: String): TaskListChange!
    taskProgressed(id: ID!): TaskProgress!
    taskStatsChanged: TaskStats!
  }
  type TaskListChange { cursor: String!  move: TaskListMove!  task: Task!  event: TaskEvent! }
  type TaskStats { at: DateTime!  total: Int!  counts: [TaskCount!]! }
  type TaskCount { status: TaskStatus!  priority: TaskPriority!  count: Int! }
  type TaskProgress { taskId: ID!  attempt: Int!  progress: Float!  message: String  at: DateTime! }
  enum TaskListMove { ENTERED CHANGED LEFT }
`;

test('the schema is the contract, neither more nor less', () => {
  expect(bare(printSchema(lexicographicSortSchema(schema)))).toBe(
    bare(printSchema(lexicographicSortSchema(buildSchema(CONTRACT)))),
  );
});

test('schema.graphql is what the code says; `npm run codegen` renews it', async () => {
  const checkedIn = await readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');
  expect(checkedIn).toBe(`${printSchema(schema)}\n`);
});

test('everything that a reader of GraphiQL can point at has a description', () => {
  const missing = described().flatMap(([name, text]) => (text ? [] : [name]));
  expect(missing).toEqual([]);
});

test.each(EXAMPLE_OPERATIONS)('the example operation in tab %# is valid', ({ query }) => {
  expect(validate(schema, parse(query))).toEqual([]);
});

/** The SDL without its descriptions. */
function bare(sdl: string): string {
  return print(visit(parse(sdl), { enter: (node) => ({ ...node, description: undefined }) }));
}

function described(): [string, string | null | undefined][] {
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
  );
  return types.flatMap((type): [string, string | null | undefined][] => {
    const parts: [string, string | null | undefined][] = [[type.name, type.description]];
    if (isEnumType(type)) {
      for (const value of type.getValues()) {
        parts.push([`${type.name}.${value.name}`, value.description]);
      }
    }
    if (isInputObjectType(type) || isObjectType(type)) {
      for (const field of Object.values(type.getFields())) {
        parts.push([`${type.name}.${field.name}`, field.description]);
        for (const argument of 'args' in field ? field.args : []) {
          parts.push([`${type.name}.${field.name}(${argument.name})`, argument.description]);
        }
      }
    }
    return parts;
  });
}

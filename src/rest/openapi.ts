import type { TaskTypes } from '../domain/task-types.ts';
import { jsonSchema } from './json-schema.ts';
import { newTaskJson } from './new-task-json.ts';
import type { Paths } from './operation.ts';
import { problemJson } from './problem.ts';
import { taskEventJson } from './task-event-json.ts';
import { taskEventOperations } from './task-event-operations.ts';
import { taskJson, taskStatusJson } from './task-json.ts';
import { taskOperations } from './task-operations.ts';

export interface OpenApiDocument {
  openapi: string;
  info: { title: string; version: string; description: string };
  tags: { name: string; description: string }[];
  paths: Paths;
  components: { schemas: Record<string, object> };
}

/** Operations and schemas of another part of the server. */
export interface OpenApiPart {
  tag: { name: string; description: string };
  paths: Paths;
  schemas: Record<string, object>;
}

/** The OpenAPI 3.1 document, made from the schemas that the routes parse and answer with. */
export function openApiDocument(options: {
  taskTypes: TaskTypes;
  parts?: readonly OpenApiPart[];
}): OpenApiDocument {
  const { taskTypes, parts = [] } = options;
  return {
    openapi: '3.1.0',
    info: {
      title: 'async-task-manager',
      version: '1',
      description:
        'Hand over work, and ask what became of it or be told as it happens. GraphQL at `/graphql` can do all of it ' +
        'too.\n\nEvery path may end in one slash.',
    },
    tags: [
      { name: 'Tasks', description: 'Work handed over to the workers.' },
      { name: 'Events', description: 'What becomes of tasks, as it happens.' },
      ...parts.map(({ tag }) => tag),
    ],
    paths: Object.assign(
      taskOperations(),
      taskEventOperations(),
      ...parts.map(({ paths }) => paths),
    ),
    components: {
      schemas: Object.assign(
        {
          Task: jsonSchema(taskJson, 'output'),
          TaskEvent: jsonSchema(taskEventJson, 'output'),
          TaskStatus: jsonSchema(taskStatusJson, 'output'),
          NewTask: jsonSchema(newTaskJson(taskTypes), 'input'),
          Problem: jsonSchema(problemJson, 'output'),
        },
        ...parts.map(({ schemas }) => schemas),
      ),
    },
  };
}

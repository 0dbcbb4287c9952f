import type { TaskTypes } from '../domain/task-types.ts';
import { jsonSchema } from './json-schema.ts';
import { newTaskJson } from './new-task-json.ts';
import type { Paths } from './operation.ts';
import { problemJson } from './problem.ts';
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
        'Hand over work, and ask what became of it. To be told live instead of asking, subscribe to ' +
        '`taskStatusChanged` in GraphQL at `/graphql`.\n\nEvery path may end in one slash.',
    },
    tags: [
      { name: 'Tasks', description: 'Work handed over to the workers.' },
      ...parts.map(({ tag }) => tag),
    ],
    paths: Object.assign(taskOperations(), ...parts.map(({ paths }) => paths)),
    components: {
      schemas: Object.assign(
        {
          Task: jsonSchema(taskJson, 'output'),
          TaskStatus: jsonSchema(taskStatusJson, 'output'),
          NewTask: jsonSchema(newTaskJson(taskTypes), 'input'),
          Problem: jsonSchema(problemJson, 'output'),
        },
        ...parts.map(({ schemas }) => schemas),
      ),
    },
  };
}

/** The same subscription as Yoga's and graphql-ws's own documentation builds it. */
import { once, setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecutionArgs } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createPubSub, createSchema, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { serveCommands } from './commands.ts';

export type StockServerCommands = typeof commands;

type Pipeline = Pick<ReturnType<typeof yoga.getEnveloped>, 'execute' | 'subscribe'>;

const eventTarget = new EventTarget();
// It warns of more than ten.
setMaxListeners(0, eventTarget);
const pubSub = createPubSub<{ taskStatusChanged: [id: string, event: object] }>({ eventTarget });
let subscribers = 0;
const yoga = createYoga({
  schema: createSchema({
    typeDefs: `
      type Query { subscribers: Int! }
      type Subscription { taskStatusChanged(id: ID!): TaskEvent! }
      type TaskEvent {
        cursor: String! taskId: ID! version: Int! status: TaskStatus! previousStatus: TaskStatus
        attempt: Int! at: String! reason: String
      }
      enum TaskStatus { NEW PENDING IN_PROGRESS COMPLETED FAILED CANCELLED }`,
    resolvers: {
      Query: { subscribers: () => subscribers },
      Subscription: {
        taskStatusChanged: {
          subscribe(_root: unknown, { id }: { id: string }) {
            subscribers += 1;
            return pubSub.subscribe('taskStatusChanged', id);
          },
          resolve: (event: object) => event,
        },
      },
    },
  }),
  logging: false,
});
const server = createServer(yoga);
useServer(
  {
    execute: (args: ExecutionArgs) => (args.rootValue as Pipeline).execute(args),
    subscribe: (args: ExecutionArgs) => (args.rootValue as Pipeline).subscribe(args),
    async onSubscribe({ extra }, _id, params) {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        req: extra.request,
        socket: extra.socket,
        params,
      });
      const document = parse(params.query);
      const errors = validate(schema, document);
      if (errors.length > 0) return errors;
      return {
        schema,
        document,
        operationName: params.operationName,
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe } satisfies Pipeline,
      };
    },
  },
  new WebSocketServer({ server, path: yoga.graphqlEndpoint }),
);
const listening = once(server.listen(0, '127.0.0.1'), 'listening');

const commands = {
  async url() {
    await listening;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('It has no port.');
    return `http://127.0.0.1:${address.port}`;
  },
  subscribers: () => subscribers,
  async publish({ id, events }: { id: string; events: readonly object[] }) {
    for (const event of events) {
      pubSub.publish('taskStatusChanged', id, event);
      await nextTurn();
    }
  },
};

serveCommands(commands);

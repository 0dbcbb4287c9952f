import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ExecutionArgs, type ExecutionResult, GraphQLError, getOperationAST } from 'graphql';
import { makeServer, type Server } from 'graphql-ws';
import { toClient } from '../graphql/errors.ts';
import { isLive, type LiveResult, type RenderedResult } from '../graphql/live-result.ts';
import type { GraphqlServer } from '../graphql/yoga.ts';
import type { Reading } from '../tasks/stream.ts';

/** Where the results of subscriptions are sent. */
export interface Outlet {
  /**
   * Sends a result as the payload of a message. @returns whether there is room for more; if not, `onRoom` is called once
   * there is
   * @param head what comes before the payload; after it comes a closing bracket
   */
  push(head: Buffer, result: RenderedResult, onRoom: () => void): boolean;
}

/** The `graphql-transport-ws` protocol, free of sockets, on the pipeline that also answers HTTP. */
export interface GraphqlProtocol extends Pick<Server<Outlet>, 'opened'> {
  /** Resolves when the queries and mutations that are under way have been answered. */
  answered(): Promise<void>;
}

export function createGraphqlProtocol({ yoga, maskError }: GraphqlServer): GraphqlProtocol {
  type Pipeline = Pick<ReturnType<typeof yoga.getEnveloped>, 'execute' | 'subscribe'> & Target;
  // Each operation has a pipeline of its own, which the protocol does not hand through.
  const pipelines = new WeakMap<ExecutionArgs, Pipeline>();
  const underWay = new Set<Promise<unknown>>();

  function pipelineOf(args: ExecutionArgs): Pipeline {
    const pipeline = pipelines.get(args);
    if (pipeline === undefined) throw new Error('An operation was executed before it was parsed.');
    return pipeline;
  }

  async function execute(args: ExecutionArgs): Promise<ExecutionResult> {
    const { execute, ...target } = pipelineOf(args);
    const execution = Promise.resolve(execute(args));
    underWay.add(execution);
    try {
      return await execution;
    } finally {
      underWay.delete(execution);
      forget(target, args);
    }
  }

  async function subscribe(args: ExecutionArgs) {
    const { subscribe, ...target } = pipelineOf(args);
    const { id, connection } = target;
    const result = await subscribe(args);
    if (connection.latest.get(id) !== args) {
      if (isLive(result)) result.read(NOBODY).leave();
      return overtaken(target);
    }
    if (!isLive(result)) {
      forget(target, args);
      return refusal(result);
    }
    const results = pushResults(result, target, args);
    if (connection.latest.get(id) === args) connection.results.set(id, results);
    return results;
  }

  const server = makeServer<undefined, Connection>({
    async onSubscribe({ extra: connection, subscriptions }, id, params) {
      const operations = Math.max(Object.keys(subscriptions).length - 1, connection.open.size);
      if (operations >= MAX_OPERATIONS) return [tooMany()];
      const { schema, parse, validate, contextFactory, execute, subscribe } = yoga.getEnveloped({
        params,
      });
      try {
        const document = parse(params.query);
        const errors = validate(schema, document);
        if (errors.length > 0) return errors;
        // Asked for here, since the protocol takes it for a fault of ours.
        if (getOperationAST(document, params.operationName) == null) return [noSuchOperation()];
        const args: ExecutionArgs = {
          schema,
          document,
          operationName: params.operationName,
          variableValues: params.variables,
          contextValue: await contextFactory(),
        };
        pipelines.set(args, { execute, subscribe, id, connection });
        connection.latest.set(id, args);
        return args;
      } catch (error) {
        // Thrown out of here it would cost the client its socket.
        return [maskError(error)];
      }
    },
    execute,
    subscribe,
    onNext(_socket, _id, _params, _args, { data, errors }) {
      if (errors === undefined) return undefined;
      return { ...(data === undefined ? {} : { data }), errors: errors.map(toClient) };
    },
    // What ends a stream arrives here wrapped once more, with the error itself as its cause.
    onError: (_socket, _id, _params, errors) =>
      errors.flatMap((error) =>
        error.cause instanceof Refused
          ? error.cause.errors.map(toClient)
          : toClient(maskError(error.cause ?? error)),
      ),
  });

  return {
    opened(socket, outlet) {
      const connection: Connection = {
        outlet,
        open: new Set(),
        latest: new Map(),
        results: new Map(),
      };
      const closed = server.opened(socket, connection);
      return async (code, reason) => {
        await closed(code, reason);
        // Of those that were given the same id the protocol knows the last one.
        for (const reading of connection.open) reading.leave();
      };
    },
    async answered() {
      await Promise.allSettled(underWay);
      // What they resolve to is handed to the socket on this turn.
      await nextTurn();
    },
  };
}

/** A client, and the subscriptions that are told to it. */
interface Connection {
  readonly outlet: Outlet;
  readonly open: Set<Reading>;
  /**
   * The latest operation of each id, and the results of those that are subscriptions. A client may use an id again as soon
   * as it has completed it, also before that had begun; the protocol then takes the two for one.
   */
  readonly latest: Map<string, ExecutionArgs>;
  readonly results: Map<string, AsyncIterator<ExecutionResult, undefined>>;
}

/** Where the results of a subscription go. */
interface Target {
  readonly id: string;
  readonly connection: Connection;
}

/** The operation is over, and its id free, unless another one has it already. */
function forget({ id, connection: { latest, results } }: Target, args: ExecutionArgs): void {
  if (latest.get(id) !== args) return;
  latest.delete(id);
  results.delete(id);
}

/** A subscription could not start. */
class Refused extends Error {
  override readonly name = 'Refused';
  /** Masked already. */
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super('The subscription could not start.');
    this.errors = errors;
  }
}

/** A stream that ends with its errors: sent as a result, as the protocol would, they would have to be told from one. */
function refusal({ errors = [] }: ExecutionResult): AsyncIterableIterator<never, undefined> {
  return {
    next: () => Promise.reject(new Refused(errors)),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Who subscribed had left before it began, and then used the id again: whatever the protocol does to it means that one. */
function overtaken({ id, connection }: Target): AsyncIterableIterator<never, undefined> {
  return {
    next: () => new Promise(() => {}),
    async return() {
      await connection.results.get(id)?.return?.();
      return DONE;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const NOBODY = { take: () => false, end: () => {} };

/** Sends the results past the protocol, which would render each of them anew, and tells it only how they end. */
function pushResults(
  { read }: LiveResult,
  target: Target,
  args: ExecutionArgs,
): AsyncIterableIterator<ExecutionResult, undefined> {
  const { id, connection } = target;
  const { outlet, open } = connection;
  const ended = Promise.withResolvers<{ done: true; value: undefined }>();
  const head = Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
  const reading = read({
    take: (result) => outlet.push(head, result, reading.resume),
    end(error) {
      leave();
      if (error === undefined) ended.resolve(DONE);
      else ended.reject(error);
    },
  });
  open.add(reading);

  function leave() {
    open.delete(reading);
    forget(target, args);
  }

  return {
    next() {
      reading.resume();
      return ended.promise;
    },
    async return() {
      leave();
      reading.leave();
      ended.resolve(DONE);
      return DONE;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** At once on one connection. */
const MAX_OPERATIONS = 1_000;

function tooMany(): GraphQLError {
  const message = `This connection has ${MAX_OPERATIONS.toLocaleString('en-US')} subscriptions already. End some, watch many tasks by one filter, or open another connection.`;
  return new GraphQLError(message, { extensions: { code: 'TOO_MANY_SUBSCRIPTIONS' } });
}

/** As it is said over HTTP. */
function noSuchOperation(): GraphQLError {
  return new GraphQLError('Could not determine what operation to execute.', {
    extensions: { code: 'OPERATION_RESOLUTION_FAILURE' },
  });
}

const DONE = { done: true, value: undefined } as const;

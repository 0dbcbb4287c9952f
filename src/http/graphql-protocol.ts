import type { ExecutionArgs } from 'graphql';
import { makeServer } from 'graphql-ws';
import { toClient } from '../graphql/errors.ts';
import type { GraphqlServer } from '../graphql/yoga.ts';

/** The `graphql-transport-ws` protocol, free of sockets, on the pipeline that also answers HTTP. */
export function createGraphqlProtocol({ yoga, maskError }: GraphqlServer) {
  type Pipeline = Pick<ReturnType<typeof yoga.getEnveloped>, 'execute' | 'subscribe'>;
  // Each operation has a pipeline of its own, which the protocol does not hand through.
  const pipelines = new WeakMap<ExecutionArgs, Pipeline>();

  function pipelineOf(args: ExecutionArgs): Pipeline {
    const pipeline = pipelines.get(args);
    if (pipeline === undefined) throw new Error('An operation was executed before it was parsed.');
    return pipeline;
  }

  return makeServer({
    async onSubscribe(_socket, _id, params) {
      const { schema, parse, validate, contextFactory, execute, subscribe } = yoga.getEnveloped({
        params,
      });
      try {
        const document = parse(params.query);
        const errors = validate(schema, document);
        if (errors.length > 0) return errors;
        const args: ExecutionArgs = {
          schema,
          document,
          operationName: params.operationName,
          variableValues: params.variables,
          contextValue: await contextFactory(),
        };
        pipelines.set(args, { execute, subscribe });
        return args;
      } catch (error) {
        // Thrown out of here it would cost the client its socket.
        return [maskError(error)];
      }
    },
    execute: (args) => pipelineOf(args).execute(args),
    subscribe: (args) => pipelineOf(args).subscribe(args),
    onNext(_socket, _id, _params, _args, { data, errors }) {
      if (errors === undefined) return undefined;
      return { ...(data === undefined ? {} : { data }), errors: errors.map(toClient) };
    },
    // What ends a stream arrives here wrapped once more, with the error itself as its cause.
    onError: (_socket, _id, _params, errors) =>
      errors.map((error) => toClient(maskError(error.cause ?? error))),
  });
}

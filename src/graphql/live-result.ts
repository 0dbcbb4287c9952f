import {
  type ASTNode,
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  executeSubscriptionEvent,
  Kind,
  type OperationDefinitionNode,
  type ValidatedSubscriptionArgs,
  validateSubscriptionArgs,
  visit,
} from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import { type Reader, type Reading, readMapped, type Stream } from '../tasks/stream.ts';
import { type MaskError, toClient } from './errors.ts';

/** What a subscription is answered with, instead of an iterator: its results as text, for a transport to pass on. */
export interface LiveResult extends ExecutionResult {
  readonly read: (reader: Reader<RenderedResult>) => Reading;
}

/** One result. The same object for all who asked for the same, so that a transport can prepare it once. */
export interface RenderedResult {
  readonly json: string;
}

/** What comes with one HTTP request. */
export interface ServerContext {
  /** What there is to its answer beside the response. `live`: these results are its body, to be sent as events. */
  readonly answer: { live?: LiveResult };
}

export function isLive(result: object): result is LiveResult {
  return 'read' in result;
}

type Render = (value: object) => RenderedResult | Promise<RenderedResult>;

/**
 * Executes a subscription once for each value and not once more for each subscriber: those whose documents are the same,
 * and whose variables are where they matter to the result, share it. The arguments of the subscription itself do not:
 * they select which values a subscriber is told, and two of them who are told the same value see it alike.
 */
export function useLiveResults(maskError: MaskError): Plugin<object, ServerContext> {
  const renderers = new WeakMap<DocumentNode, Map<string, Render>>();

  function rendererOf(args: ValidatedSubscriptionArgs): Render {
    const { document, operation, rawVariableValues: values } = args;
    const ofDocument = renderers.get(document) ?? new Map<string, Render>();
    renderers.set(document, ofDocument);
    const variables = variablesOfResult(document, operation);
    // One that is left out has its default, which null takes away.
    const given = variables.map((name) => (values && name in values ? [values[name]] : []));
    const key = JSON.stringify([operation.name?.value, given]);
    const render = ofDocument.get(key) ?? createRenderer(args, maskError);
    // Whoever lets go of a renderer here still has it; only what comes next is no longer shared with that one.
    if (ofDocument.size >= MAX_RENDERERS) ofDocument.clear();
    ofDocument.set(key, render);
    return render;
  }

  async function subscribe(args: ExecutionArgs): Promise<ExecutionResult | LiveResult> {
    const validated = validateSubscriptionArgs(args);
    if (!('schema' in validated)) return { errors: validated };
    const source = await createSourceEventStream(validated);
    if (!isAsyncIterable(source)) return source;
    const render = rendererOf(validated);
    return { read: (reader) => readMapped(source as Stream<object>, render, reader) };
  }

  return {
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribe),
    onResultProcess({ request, result, serverContext, setResultProcessor }) {
      if (!isLive(result)) return;
      if (ACCEPTS_EVENTS.test(request.headers.get('accept') ?? '*/*')) {
        serverContext.answer.live = result;
        setResultProcessor((_result, { Response }) => new Response(), 'text/event-stream');
        return;
      }
      // Nobody will read it, so nobody else would end it.
      result.read({ take: () => false, end: () => {} }).leave();
      setResultProcessor((_result, { Response }) => {
        const headers = { 'content-type': 'application/json; charset=utf-8' };
        return new Response(NOT_ACCEPTABLE, { status: 406, headers });
      }, 'application/json');
    },
  };
}

const ACCEPTS_EVENTS = /text\/event-stream|text\/\*|\*\/\*/i;
const NOT_ACCEPTABLE = JSON.stringify({
  errors: [
    {
      message:
        'A subscription is answered as text/event-stream, which the Accept header must allow, or over WebSocket.',
      extensions: { code: 'BAD_REQUEST' },
    },
  ],
});

/** Of one document, with different variables. */
const MAX_RENDERERS = 100;

/** Keeps what it made of a value for as long as anyone has that. */
function createRenderer(args: ValidatedSubscriptionArgs, maskError: MaskError): Render {
  const rendered = new WeakMap<object, ReturnType<Render>>();

  function toText({ data, errors }: ExecutionResult): ReturnType<Render> {
    const masked = errors?.map(maskError);
    // As a result it would stand for a value that its subscribers have not seen. Told as the end of the stream, it makes
    // them resume before that value.
    const unavailable = masked?.find(({ extensions }) => extensions.code === 'SERVICE_UNAVAILABLE');
    if (unavailable !== undefined) return Promise.reject(unavailable);
    return { json: JSON.stringify({ data, errors: masked?.map(toClient) }) };
  }

  function render(value: object): ReturnType<Render> {
    const result = executeSubscriptionEvent({ ...args, rootValue: value });
    if (!(result instanceof Promise)) return toText(result);
    return result.then(toText, (error) => toText({ errors: [error] }));
  }

  return (value) => {
    const known = rendered.get(value);
    if (known !== undefined) return known;
    const result = render(value);
    rendered.set(value, result);
    // Who resumes may have better luck.
    if (result instanceof Promise) result.catch(() => rendered.delete(value));
    return result;
  };
}

/** The variables that are used elsewhere than in the arguments of the fields that are subscribed to. */
function variablesOfResult(document: DocumentNode, operation: OperationDefinitionNode): string[] {
  const names = new Set<string>();
  const ofSubscription = new Set<ASTNode>();
  for (const selection of operation.selectionSet.selections) {
    if (selection.kind !== Kind.FIELD) continue;
    for (const argument of selection.arguments ?? []) ofSubscription.add(argument);
  }
  visit(document, {
    VariableDefinition: () => false,
    Argument: (argument) => (ofSubscription.has(argument) ? false : undefined),
    Variable: ({ name }) => void names.add(name.value),
  });
  return [...names].sort();
}

import { GraphQLError, Lexer, type ParseOptions, parse, Source, TokenKind } from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** Most tokens of a document: room for a batch of literal tasks, none for a document that is costly to parse. */
export const MAX_TOKENS = 50_000;
/** Deepest nesting of brackets. Parser and validator recurse: without a limit, nesting overflows the stack. */
export const MAX_NESTING = 250;

/** Refuses documents that would be costly before they are parsed, and gives syntax errors their code. */
export function useDocumentLimits(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn(parseWithinLimits);
    },
  };
}

function parseWithinLimits(text: string | Source, options?: ParseOptions) {
  const source = typeof text === 'string' ? new Source(text) : text;
  try {
    assertWithinLimits(source);
    return parse(source, options);
  } catch (error) {
    throw error instanceof GraphQLError ? refused(error) : error;
  }
}

function assertWithinLimits(source: Source): void {
  const lexer = new Lexer(source);
  let tokens = 0;
  let nesting = 0;
  for (let { kind } = lexer.advance(); kind !== TokenKind.EOF; { kind } = lexer.advance()) {
    tokens += 1;
    if (OPENING.has(kind)) nesting += 1;
    if (CLOSING.has(kind)) nesting -= 1;
    if (tokens > MAX_TOKENS) throw tooMuch(`has more than ${MAX_TOKENS} tokens`, lexer);
    if (nesting > MAX_NESTING) throw tooMuch(`is nested deeper than ${MAX_NESTING} levels`, lexer);
  }
}

const OPENING = new Set<TokenKind>([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const CLOSING = new Set<TokenKind>([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

function tooMuch(what: string, { source, token }: Lexer): GraphQLError {
  const hint = 'Send large values as variables.';
  return new GraphQLError(`The document ${what}. ${hint}`, { source, positions: [token.start] });
}

function refused({ message, source, positions }: GraphQLError): GraphQLError {
  const extensions = { code: 'GRAPHQL_PARSE_FAILED', http: { spec: true, status: 400 } };
  return new GraphQLError(message, { source, positions, extensions });
}

import { GraphQLError, Kind, type ValueNode, valueFromASTUntyped, visit } from 'graphql';
import type { Json } from '../domain/task.ts';
import { builder } from './builder.ts';

builder.scalarType('DateTime', {
  description:
    'A moment as RFC 3339 text with its offset from UTC, such as `2030-01-31T09:30:00Z` or ' +
    '`2030-01-31T10:30:00.5+01:00`. Answers are always in UTC, to the millisecond.',
  serialize: (date) => date.toISOString(),
  parseValue: parseDateTime,
});

builder.scalarType('JSON', {
  description: 'Any JSON value: object, array, string, number, boolean or null.',
  serialize: (value) => value,
  // What it may hold is checked with the field that takes it.
  parseValue: (value) => value as Json,
  parseLiteral: (node, variables) =>
    valueFromASTUntyped(withoutUnset(node, variables ?? {}), variables) as Json,
});

/** A variable that is not given leaves its field out, and a gap in a list is null, as it is for all other types. */
function withoutUnset(node: ValueNode, variables: Readonly<Record<string, unknown>>): ValueNode {
  const isUnset = (value: ValueNode) =>
    value.kind === Kind.VARIABLE && variables[value.name.value] === undefined;
  return visit(node, {
    ObjectField: ({ value }) => (isUnset(value) ? null : undefined),
    Variable: (variable) => (isUnset(variable) ? NULL : undefined),
  });
}

const NULL = { kind: Kind.NULL } as const;

const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** @throws GraphQLError, whose message is a sentence fragment, unless the text is strictly RFC 3339 and names a day that exists */
export function parseDateTime(value: unknown): Date {
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null;
  const [text, year, month, day] = match ?? [];
  if (text === undefined || !dayExists(Number(year), Number(month), Number(day))) {
    throw new GraphQLError('must be an RFC 3339 time such as 2030-01-31T09:30:00Z');
  }
  return new Date(text.toUpperCase());
}

function dayExists(year: number, month: number, day: number): boolean {
  // Day 0 of the next month is the last one of this.
  return (
    month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
  );
}

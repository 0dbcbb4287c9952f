import { parse } from 'graphql';
import { expect, test } from 'vitest';
import { createKnownDocuments } from '../../src/graphql/known-documents.ts';

const document = parse('{ __typename }');

test('a document is known by its text', () => {
  const known = createKnownDocuments();
  known.set('{ a }', document);
  expect(known.get('{ a }')).toBe(document);
  expect(known.get('{ b }')).toBeUndefined();
});

test('a long document is not kept', () => {
  const known = createKnownDocuments();
  const long = 'a'.repeat(10_001);
  known.set(long, document);
  expect(known.get(long)).toBeUndefined();
});

test('however many come, what is kept is bounded, and the oldest make room for the latest', () => {
  const known = createKnownDocuments();
  const texts = Array.from({ length: 100 }, (_, n) => String(n).padStart(5_000));
  // A document that comes twice counts once.
  for (const text of texts) for (const twice of [text, text]) known.set(twice, document);
  const kept = texts.filter((text) => known.get(text) !== undefined);
  expect(kept).toEqual(texts.slice(-40));
});

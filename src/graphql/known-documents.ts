import type { DocumentNode } from 'graphql';

/** Parsed documents by their text, so that what programs send again and again is parsed once. */
export interface KnownDocuments {
  get(text: string): DocumentNode | undefined;
  set(text: string, document: DocumentNode): void;
}

/** Characters of a document that is kept: what programs send is shorter. */
const MAX_LENGTH = 10_000;
/** Of all that are kept. Parsed, a document takes up to 250 times the room of its text. */
const MAX_TOTAL_LENGTH = 200_000;

/** Keeps no more than a bounded length of text in all, whoever sends what: the oldest make room for the latest. */
export function createKnownDocuments(): KnownDocuments {
  const known = new Map<string, DocumentNode>();
  let length = 0;
  return {
    get: (text) => known.get(text),
    set(text, document) {
      if (text.length > MAX_LENGTH) return;
      if (!known.has(text)) length += text.length;
      known.set(text, document);
      for (const oldest of known.keys()) {
        if (length <= MAX_TOTAL_LENGTH) break;
        known.delete(oldest);
        length -= oldest.length;
      }
    },
  };
}

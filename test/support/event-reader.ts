import { onTestFinished } from 'vitest';

/** A server-sent event as it came, its data parsed. */
export interface SentEvent {
  id: string | undefined;
  event: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: a test says by its expectations what it should be
  data: any;
}

export interface EventReader {
  response: Response;
  /** The next block of lines that is one of text, whatever it says. Undefined at a clean end. */
  nextBlock(): Promise<string | undefined>;
  /** The next event; comments and the like are passed over. @throws Error when the stream ends, or is cut */
  next(): Promise<SentEvent>;
  /** All events to a clean end. @throws Error when the stream is cut */
  rest(): Promise<SentEvent[]>;
  /** Hangs up. */
  leave(): void;
}

/** Reads an event stream block by block, so that a test sees what `EventSource` hides. Left when the test ends. */
export async function openEvents(
  url: string,
  headers: Record<string, string> = {},
): Promise<EventReader> {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const response = await fetch(url, { headers, signal: leaving.signal });
  const blocks = blocksOf(response);

  async function nextBlock() {
    return (await blocks.next()).value;
  }

  async function nextOrEnd(): Promise<SentEvent | undefined> {
    for (;;) {
      const block = await nextBlock();
      if (block === undefined) return undefined;
      const event = parse(block);
      if (event !== undefined) return event;
    }
  }

  return {
    response,
    nextBlock,
    async next() {
      const event = await nextOrEnd();
      if (event === undefined) throw new Error('The stream has ended.');
      return event;
    },
    async rest() {
      const events: SentEvent[] = [];
      for (let event = await nextOrEnd(); event !== undefined; event = await nextOrEnd()) {
        events.push(event);
      }
      return events;
    },
    leave: () => leaving.abort(),
  };
}

async function* blocksOf({ body }: Response): AsyncGenerator<string, undefined> {
  let read = '';
  const decoder = new TextDecoder();
  for await (const bytes of body ?? []) {
    read += decoder.decode(bytes, { stream: true });
    const blocks = read.split('\n\n');
    read = blocks.pop() ?? '';
    yield* blocks;
  }
  if (read !== '') throw new Error(`The stream ended in the middle of: ${read}`);
  return undefined;
}

function parse(block: string): SentEvent | undefined {
  const fields = new Map(
    block.split('\n').map((line): [string, string] => {
      const [name = ''] = line.split(':', 1);
      return [name, line.slice(name.length + 1).trimStart()];
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { id: fields.get('id'), event: fields.get('event'), data: JSON.parse(data) };
}

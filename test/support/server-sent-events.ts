export interface ServerSentEvent {
  event?: string;
  id?: string;
  data?: string;
}

/** The events of a body, as they arrive; comments are left out. Ends with the body. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent, undefined> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    const blocks = (text + decoder.decode(chunk, { stream: true })).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = [...block.matchAll(/^(event|id|data): ?(.*)$/gm)];
      if (fields.length > 0)
        yield Object.fromEntries(fields.map(([, name, value]) => [name, value]));
    }
  }
}

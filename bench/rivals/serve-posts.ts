import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { serveCommands } from '../streams/commands.ts';

export interface ApiCommands extends Record<string, (argument: never) => unknown> {
  url(): Promise<string>;
}

/**
 * The least that takes a POST of JSON: no framework, no validation, no checks. Answers 201 once `create` has stored it.
 * @param create takes the parsed body and resolves to the id
 */
export function servePosts(create: (body: object) => Promise<string>): void {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      response.writeHead(500).end();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = await create(JSON.parse(await readBody(request)));
    const text = JSON.stringify({ id });
    const headers = { 'content-type': 'application/json', 'content-length': text.length };
    response.writeHead(201, headers).end(text);
  }

  const listening = once(server.listen(0, '127.0.0.1'), 'listening');
  serveCommands({
    async url() {
      await listening;
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('It has no port.');
      return `http://127.0.0.1:${address.port}`;
    },
  } satisfies ApiCommands);
}

function readBody(request: IncomingMessage): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => resolve(Buffer.concat(chunks).toString()));
  request.on('error', reject);
  return promise;
}

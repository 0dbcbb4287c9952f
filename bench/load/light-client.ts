import { once } from 'node:events';
import { connect } from 'node:net';

/** A keep-alive connection that costs next to nothing, so that what is measured is the server. */
export interface LightClient {
  /** One at a time. Resolves to the body. @throws when the status is another */
  send(request: Request): Promise<string>;
  close(): void;
}

/** The bytes of a request, made once. */
export interface Request {
  bytes: Buffer;
  /** Of the answer. */
  status: number;
}

export function encodePost(options: {
  url: string;
  path: string;
  body: string;
  status: number;
}): Request {
  const { url, path, body, status } = options;
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: ${new URL(url).host}`,
    'content-type: application/json',
    'accept: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`), status };
}

export function encodeGet(url: string, path: string): Request {
  const head = [`GET ${path} HTTP/1.1`, `host: ${new URL(url).host}`, 'accept: application/json'];
  return { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n`), status: 200 };
}

export async function openLightClient(url: string): Promise<LightClient> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let waiting: { status: number; answer: PromiseWithResolvers<string> } | undefined;
  let text = '';

  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    text += chunk;
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd === -1 || waiting === undefined) return;
    const bodyStart = headEnd + 4;
    const [, length] = CONTENT_LENGTH.exec(text) ?? [];
    if (length === undefined) return fail(new Error('An answer does not tell its length.'));
    if (text.length < bodyStart + Number(length)) return;
    const { status, answer } = waiting;
    waiting = undefined;
    const got = Number(text.slice(9, 12));
    const body = text.slice(bodyStart);
    text = '';
    if (got === status) answer.resolve(body);
    else answer.reject(new Error(`It answered ${got}: ${body}`));
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('It has closed the connection.')));

  function fail(error: Error): void {
    waiting?.answer.reject(error);
    waiting = undefined;
    socket.destroy();
  }

  return {
    send({ bytes, status }) {
      const answer = Promise.withResolvers<string>();
      if (socket.destroyed) throw new Error('The connection is closed.');
      waiting = { status, answer };
      socket.write(bytes);
      return answer.promise;
    },
    close: () => void socket.destroy(),
  };
}

const CONTENT_LENGTH = /\r\ncontent-length: (\d+)/i;

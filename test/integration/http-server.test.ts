import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { FastifyPluginAsync } from 'fastify';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createHttpServer } from '../../src/http/server.ts';

const log = pino({ level: 'silent' });
const host = '127.0.0.1';
const GET_LIVE = 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n';
const health = { database: async () => true, broker: () => true, draining: () => false };

describe('the HTTP server', () => {
  test('says which port is taken, and what to do', async () => {
    const { url } = await listening();
    const port = Number(new URL(url).port);
    const second = createHttpServer({ log, health, plugins: [] });
    onTestFinished(() => second.close({ graceMs: 0 }));
    await expect(second.listen({ host, port })).rejects.toThrow(
      new RegExp(`^Port ${port} is taken\\. Stop what uses it, or set PORT=\\d+\\.$`),
    );
  });

  test('says that a host is not one of this machine', async () => {
    const server = createHttpServer({ log, health, plugins: [] });
    onTestFinished(() => server.close({ graceMs: 0 }));
    await expect(server.listen({ host: '192.0.2.1', port: 0 })).rejects.toThrow(/Set HOST/);
  });

  test('answers a request in flight before it closes, and then the connection', async () => {
    const gate = createGate();
    const { server, url } = await listening(gate.route);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const answer = ask(`${url}/gate`, agent);
    await gate.reached;
    const closed = server.close({ graceMs: 60_000 });
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
    gate.open();
    const response = await answer;
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe('close');
    expect(await text(response)).toBe('{"open":true}');
    await closed;
  });

  test('that leaves answers on as before, not ready, and each answer ends its connection', async () => {
    const { server, url } = await listening();
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const before = await ask(`${url}/health/ready`, agent);
    expect([before.statusCode, before.headers.connection]).toEqual([200, 'keep-alive']);
    before.resume();
    const left = server.leave();
    for (const path of ['/health/ready', '/health/live']) {
      const answer = await ask(url + path, agent);
      expect(answer.statusCode).toBe(path === '/health/ready' ? 503 : 200);
      expect(answer.headers.connection).toBe('close');
      answer.resume();
    }
    await left;
    await expect(ask(`${url}/health/live`)).rejects.toThrow('ECONNREFUSED');
  });

  test('that leaves answers once more on a connection that was kept, though its port is closed', async () => {
    const { server, url } = await listening();
    const socket = await open(url);
    socket.write(GET_LIVE);
    await once(socket, 'data');
    const left = server.leave();
    await vi.waitFor(() => expect(fetch(`${url}/health/live`)).rejects.toThrow());
    const ended = text(socket);
    socket.write(GET_LIVE);
    expect(await ended).toMatch(/^HTTP\/1\.1 200 .*connection: close/is);
    await left;
  });

  test('that leaves takes its time only when somebody would notice', async () => {
    const { server } = await listening();
    const before = performance.now();
    await server.leave();
    expect(performance.now() - before).toBeLessThan(900);
  });

  test('closes idle connections at once', async () => {
    const { server, url } = await listening();
    const socket = await open(url);
    socket.write(GET_LIVE);
    await once(socket, 'data');
    await Promise.all([once(socket, 'close'), server.close({ graceMs: 60_000 })]);
  });

  test('cuts a request that takes longer than the grace', async () => {
    const gate = createGate();
    const { server, url } = await listening(gate.route);
    const answer = ask(`${url}/gate`);
    await gate.reached;
    await Promise.all([
      expect(answer).rejects.toThrow(/socket hang up|ECONNRESET/),
      server.close({ graceMs: 1 }),
    ]);
    gate.open();
  });

  test('cuts a connection that became something else', async () => {
    const server = createHttpServer({ log, health, plugins: [], upgrades: () => true });
    const url = await server.listen({ host, port: 0 });
    server.app.server.on('upgrade', (_request, socket: Socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
    });
    const socket = await open(url);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
    await once(socket, 'data');
    await Promise.all([once(socket, 'close'), server.close({ graceMs: 1 })]);
  });

  test.each(['h2c', 'TLS/1.0', 'websocket'])(
    'goes on in HTTP with who offers %s',
    async (other) => {
      const { server, url } = await listening();
      server.app.server.on('upgrade', (_request, socket) => socket.end());
      const socket = await open(url);
      const offer = `Upgrade: ${other}\r\nConnection: Upgrade, HTTP2-Settings, close`;
      socket.write(`GET /health/live HTTP/1.1\r\nHost: x\r\n${offer}\r\n\r\n`);
      expect(await text(socket)).toMatch(/^HTTP\/1.1 200 /);
    },
  );

  test('lets a client send all of a body that is too large, and read why it is refused', async () => {
    const { server, url } = await listening(async (app) => {
      app.post('/', async () => 'taken');
    });
    const socket = await open(url);
    const size = 20 * 1024 * 1024;
    const headers = 'Host: x\r\nContent-Type: application/json';
    socket.write(`POST / HTTP/1.1\r\n${headers}\r\nContent-Length: ${size}\r\n\r\n`);
    socket.write('x'.repeat(size));
    socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const answers = await text(socket);
    expect(answers.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
    await server.close({ graceMs: 0 });
  });

  test.each([
    ['what is not HTTP', 'HELLO\r\n\r\n', 400],
    ['headers that are too large', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('answers %s with a problem', async (_what, request, status) => {
    const { url } = await listening();
    const socket = await open(url);
    socket.write(request);
    const answer = await text(socket);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('Content-Type: application/problem+json');
    expect(answer).toContain(`"status":${status}`);
  });

  test('gives a request and its headers a limited time to arrive', async () => {
    const { server } = await listening();
    expect(server.app.server.headersTimeout).toBe(10_000);
    expect(server.app.server.requestTimeout).toBe(30_000);
  });
});

async function listening(...plugins: FastifyPluginAsync[]) {
  const server = createHttpServer({ log, health, plugins });
  onTestFinished(() => server.close({ graceMs: 0 }));
  return { server, url: await server.listen({ host, port: 0 }) };
}

/** A route that answers only when the test says so. */
function createGate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const route: FastifyPluginAsync = async (app) => {
    app.get('/gate', async () => {
      reached.resolve();
      await opened.promise;
      return { open: true };
    });
  };
  return { route, reached: reached.promise, open: opened.resolve };
}

function ask(url: string, agent?: Agent): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get(url, agent ? { agent } : {}, resolve).on('error', reject);
  return promise;
}

async function open(url: string): Promise<Socket> {
  const socket = connect({ host, port: Number(new URL(url).port) });
  await once(socket, 'connect');
  return socket;
}

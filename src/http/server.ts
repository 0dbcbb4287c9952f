import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import { Server as NetServer, Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  fastify,
  LogController,
} from 'fastify';
import { answerError } from '../rest/answer-error.ts';
import { answerClientError } from './client-error.ts';
import { type HealthProbes, healthChecks } from './health.ts';
import { addSecurityHeaders } from './security-headers.ts';
import { answerUnknownRoutes } from './unknown-routes.ts';

export interface HttpServer {
  /** For `inject`, and for the server whose upgrades others take. */
  readonly app: FastifyInstance;
  /**
   * Starts to serve; resolves to the address, such as `http://127.0.0.1:8000`.
   * @throws Error with a sentence for people when the port is taken or not allowed
   */
  listen(options: { host: string; port: number }): Promise<string>;
  /**
   * Not ready from now on, and each answer ends its connection. Serves as ever until those who ask for readiness have had
   * time to notice; then takes no new connections, and those that are open have a moment for one more request.
   */
  leave(): Promise<void>;
  /**
   * Takes no new connections, closes idle ones, and resolves when the requests in flight have been answered, or cut
   * after `graceMs`.
   */
  close(options: { graceMs: number }): Promise<void>;
}

const BODY_LIMIT_BYTES = 1024 * 1024;
/** Time for all of a request to arrive; how long its answer takes, or goes on for, is another matter. */
const REQUEST_TIMEOUT_MS = 30_000;
/** A client that takes nothing of its answer for this long is gone, which shows within twice the time. */
const SILENCE_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than load balancers keep an idle connection, so that it is never us who closes one under their request. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;

/** Who has asked for readiness this recently sends requests by it, and is told before the port is closed. */
const ASKED_RECENTLY_MS = 30_000;
/** Long enough for a load balancer to ask again, and for what it knows to reach all of its parts. */
const NOTICE_MS = 5_000;
/**
 * For clients that keep connections. Who finds the port closed uses those up first, and so finds each of them closed with
 * an answer, and not under a request.
 */
const LINGER_MS = 2_000;
const LOOK_MS = 20;

/** The HTTP side of the service: what holds for every request, the health checks, and the parts that are plugged in. */
export function createHttpServer(options: {
  log: FastifyBaseLogger;
  health: HealthProbes;
  plugins: readonly FastifyPluginAsync[];
  /**
   * Whether another protocol is spoken, to whoever asks for it. It is not by default: then HTTP goes on, as it may. Some
   * clients offer HTTP/2 with every request.
   */
  upgrades?: (request: IncomingMessage) => boolean;
}): HttpServer {
  const { log, health, plugins, upgrades = () => false } = options;
  let closing = false;
  let readinessAskedAt = Number.NEGATIVE_INFINITY;

  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    trustProxy: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 5_000,
      shouldUpgradeCallback: upgrades,
    },
    // A request that comes in on a connection from before is still served; then the connection is closed.
    return503OnClosing: false,
    // An id that is too long is a bad id, which the route knows better how to say.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    // A payload is any JSON, whatever its keys are called.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    frameworkErrors: answerError,
    clientErrorHandler: answerClientError,
  });
  const sockets = trackSockets(app);

  app.setErrorHandler(answerError);
  answerUnknownRoutes(app);
  addSecurityHeaders(app);
  // Hooks that have nothing to wait for say so themselves: a promise would cost each request a turn.
  app.addHook('onSend', (request, reply, _payload, done) => {
    reply.header('x-request-id', request.id);
    // From here on: to work on an answer may take longer. What is injected has no socket.
    const { socket } = request.raw;
    if (socket instanceof Socket) socket.setTimeout(SILENCE_TIMEOUT_MS);
    // What is wrong with a body is no reason to cut the connection: a client that still sends would not get to read why.
    // Node takes the rest and drops it, for as long as a request may take.
    if (closing) reply.header('connection', 'close');
    else if (reply.hasHeader('connection')) reply.removeHeader('connection');
    done();
  });
  app.addHook('onResponse', ({ log, method, url }, { statusCode, elapsedTime }, done) => {
    log.debug({ method, url, statusCode, elapsedMs: Math.round(elapsedTime) }, 'request');
    done();
  });

  app.register(
    healthChecks({
      ...health,
      draining: () => closing || health.draining(),
      onReadinessAsked() {
        readinessAskedAt = performance.now();
      },
    }),
  );
  for (const plugin of plugins) app.register(plugin);

  return {
    app,
    async listen({ host, port }) {
      try {
        return await app.listen({ host, port });
      } catch (error) {
        throw listenFailure(error, host, port);
      }
    },
    async leave() {
      closing = true;
      const isWatched = performance.now() - readinessAskedAt < ASKED_RECENTLY_MS;
      if (isWatched) {
        log.info(`not ready from now on; serves for another ${NOTICE_MS / 1_000} s`);
        await sleep(NOTICE_MS);
      }
      await stopListening(app.server);
      const until = performance.now() + LINGER_MS;
      while (sockets.size > 0 && performance.now() < until) await sleep(LOOK_MS);
    },
    async close({ graceMs }) {
      closing = true;
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      try {
        await app.close();
      } finally {
        clearTimeout(cut);
      }
    },
  };
}

/**
 * Takes no more connections. The server's own `close` would close those that are idle as well.
 *
 * Who has connected and waits to be accepted when the port closes is reset, not refused. The loop accepts one of them in
 * each turn, so a turn without any means that nobody waits.
 */
async function stopListening(server: Server): Promise<void> {
  let accepted = true;
  server.on('connection', () => {
    accepted = true;
  });
  // Under a rush there is no such turn.
  const until = performance.now() + LINGER_MS;
  while (accepted && performance.now() < until) {
    accepted = false;
    await nextTurn();
  }
  NetServer.prototype.close.call(server);
}

/** All connections, those included that became WebSockets, which Node's own list does not have. */
function trackSockets(app: FastifyInstance): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

function listenFailure(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    const next = port < 65_535 ? port + 1 : port - 1;
    return new Error(`Port ${port} is taken. Stop what uses it, or set PORT=${next}.`, {
      cause: error,
    });
  }
  if (code === 'EACCES') {
    return new Error(`Port ${port} is not allowed for this user. Set PORT to one above 1023.`, {
      cause: error,
    });
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new Error(`${host} is not an address of this machine. Set HOST to one that is.`, {
      cause: error,
    });
  }
  return error;
}

import type { FastifyInstance } from 'fastify';

/** Headers that keep a browser from doing more with an answer than it should. A page may set its own policy. */
export function addSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('x-frame-options', 'DENY');
    reply.header('referrer-policy', 'no-referrer');
    if (!reply.hasHeader('content-security-policy')) {
      const isPage = String(reply.getHeader('content-type')).startsWith('text/html');
      reply.header('content-security-policy', isPage ? PAGE_POLICY : DATA_POLICY);
    }
    done();
  });
}

const PAGE_POLICY = "frame-ancestors 'none'; object-src 'none'; base-uri 'self'";
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'";

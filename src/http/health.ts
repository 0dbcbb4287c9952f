import type { FastifyPluginAsync } from 'fastify';

/** What the health checks ask. */
export interface HealthProbes {
  /** Whether the database answers. Bounded here, so it may hang. */
  database(): Promise<boolean>;
  /** Whether the broker takes messages right now. */
  broker(): boolean;
  /** Whether this process is on its way out and should get no new work. */
  draining(): boolean;
  /** Somebody has asked whether this process is ready. */
  onReadinessAsked?(): void;
}

/** How long the database may think about it. Whoever asks has waited 2 s at most when the answer is there. */
const PROBE_TIMEOUT_MS = 1_700;

/**
 * `/health` tells people what is there, always with 200; `/health/live` says that the process answers; `/health/ready`
 * tells a load balancer whether to send requests here.
 */
export function healthChecks(probes: HealthProbes): FastifyPluginAsync {
  return async (app) => {
    app.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });

    app.get('/health', () => check(probes));

    app.get('/health/live', async () => ({ live: true }));

    app.get('/health/ready', async (_request, reply) => {
      probes.onReadinessAsked?.();
      const { database, rabbitmq } = await check(probes);
      const draining = probes.draining();
      // Without RabbitMQ tasks are still accepted, and wait; taking every process out would end that.
      const ready = database && !draining;
      reply.code(ready ? 200 : 503);
      return { ready, draining, database, rabbitmq };
    });
  };
}

async function check(probes: HealthProbes) {
  const [database, rabbitmq] = [await databaseAnswers(probes), probes.broker()];
  return { database, rabbitmq, status: database && rabbitmq };
}

async function databaseAnswers({ database }: HealthProbes): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, PROBE_TIMEOUT_MS, false);
  try {
    return await Promise.race([database(), timeout]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Broker } from './broker/broker.ts';
import { createMemoryBroker } from './broker/memory-broker.ts';
import { createRabbitBroker } from './broker/rabbit-broker.ts';
import type { Config, Role } from './config.ts';
import { createReleases, type Releases } from './shutdown.ts';
import { awaitDatabase, unlessAborted } from './store/await-database.ts';
import { openDatabase } from './store/database.ts';
import { gateDatabase } from './store/gated-database.ts';
import { applyMigrations, migrationNames } from './store/migrate.ts';
import { requireCurrentSchema } from './store/schema-version.ts';
import type { Sql } from './store/sql.ts';
import { createAdvance } from './tasks/advance.ts';
import type { TaskHandlers } from './worker/handler.ts';

/** A running process of this service. */
export interface App {
  /** Where the API answers; undefined in a worker. */
  url: string | undefined;
  /**
   * Drains, and releases everything that was opened.
   * @param options.notice whether clients of the API get notice before it closes
   */
  stop(options: { notice: boolean }): Promise<void>;
}

/**
 * The composition root: loads and opens what the role needs, from the bottom up. A worker is half as large for not
 * knowing of HTTP and GraphQL. Waits for a database that is away; an API then serves all the while, and is not ready.
 * @throws the signal's reason when it is aborted while this waits
 */
export async function startApp(options: {
  config: Config;
  handlers: TaskHandlers;
  log: Logger;
  signal: AbortSignal;
}): Promise<App> {
  const { config, handlers, log, signal } = options;
  const { role, slots, shutdownGraceMs } = config;
  const releases = createReleases(log);
  let notice = false;
  function stop(options: { notice: boolean }): Promise<void> {
    notice = options.notice;
    return releases.run();
  }
  try {
    const databaseUrl = config.databaseUrl ?? (await embedDatabase(releases, log));
    if (role !== 'api') await untilMigrated({ role, databaseUrl, log, signal });
    const database = openDatabase({ url: databaseUrl, log });
    releases.push('the database connections', database.close);
    const broker = openBroker(config, log);
    releases.push('the broker', broker.close);

    if (role !== 'api') {
      const vitals = openDatabase({ url: databaseUrl, log, poolSize: 2 });
      releases.push('the connections for vital signs', vitals.close);
      const advance = createAdvance({ sql: database, broker });
      const random = Math.random;
      const parts = {
        database,
        vitals,
        databaseUrl,
        broker,
        advance,
        handlers,
        slots,
        random,
        log,
      };
      const { startWorker } = await import('./worker/worker.ts');
      const worker = await startWorker(parts);
      releases.push(
        'the worker',
        () => worker.stop(shutdownGraceMs),
        shutdownGraceMs + STRAGGLERS_MS,
      );
    }
    if (role === 'worker') return { url: undefined, stop };

    const gate = gateDatabase(database);
    const { createApi } = await import('./http/api.ts');
    const api = await createApi({
      database: gate.database,
      broker,
      advance: createAdvance({ sql: gate.database, broker }),
      taskTypes: handlers,
      log,
    });
    releases.push(
      'the API',
      () => api.close({ graceMs: shutdownGraceMs, notice }),
      shutdownGraceMs + STRAGGLERS_MS,
    );
    async function reachAll(): Promise<void> {
      if (role === 'api') await untilMigrated({ role, databaseUrl, log, signal });
      gate.open();
      // Else the first tasks after a start would have to wait as NEW. Without RabbitMQ it starts all the same.
      await untilReady(broker, BROKER_WAIT_MS);
    }
    const reached = reachAll();
    // Looked at below; until then a failure is nobody's.
    reached.catch(() => {});
    // A process that takes the place of another has its port refuse, which clients expect, rather than answer 503.
    await Promise.race([reached, sleep(LISTEN_AFTER_MS, undefined, { ref: false })]);
    const url = await api.listen(config);
    log.info({ url }, 'listens');
    await reached;
    return { url, stop };
  } catch (error) {
    await releases.run();
    throw error;
  }
}

/** Waits for the database. Its schema must be that of this code; `all` first makes it so. @throws SchemaRefused */
async function untilMigrated(options: {
  role: Role;
  databaseUrl: string;
  log: Logger;
  signal: AbortSignal;
}): Promise<void> {
  const { role, databaseUrl, log, signal } = options;
  const known = await migrationNames();
  if (role === 'all') {
    await awaitDatabase({ url: databaseUrl, missingIsFine: true, log, signal });
    // One transaction each, so that to leave in the middle is safe.
    await unlessAborted(applyMigrations({ databaseUrl, log }), signal);
  }
  const check = (sql: Sql) => requireCurrentSchema(sql, known);
  await awaitDatabase({ url: databaseUrl, check, log, signal });
}

const BROKER_WAIT_MS = 2_000;
/** How long to wait for the database before saying, on the port, that it is away. */
const LISTEN_AFTER_MS = 3_000;

async function untilReady(broker: Broker, withinMs: number): Promise<void> {
  if (broker.ready) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const unlisten = broker.onReady(resolve);
  const timer = setTimeout(resolve, withinMs);
  await promise;
  clearTimeout(timer);
  unlisten();
}

/** What may come after the grace period: handlers that ignore their signal, a database that does not answer. */
const STRAGGLERS_MS = 20_000;

const DATA_DIR = fileURLToPath(new URL('../.data/postgres', import.meta.url));

async function embedDatabase(releases: Releases, log: Logger): Promise<string> {
  const { startEmbeddedPostgres } = await import('./store/embedded-postgres.ts');
  const server = await startEmbeddedPostgres({ dataDir: DATA_DIR, log });
  releases.push('the embedded PostgreSQL', server.stop);
  return server.url;
}

function openBroker({ rabbitmqUrl, rabbitmqNamespace, role }: Config, log: Logger): Broker {
  if (rabbitmqUrl === undefined) return createMemoryBroker();
  return createRabbitBroker({
    url: rabbitmqUrl,
    name: `async-task-manager ${role}`,
    ...(rabbitmqNamespace === undefined ? {} : { namespace: rabbitmqNamespace }),
    log,
  });
}

import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { ensureDatabase } from './ensure-database.ts';
import { serverAccount } from './postgres-account.ts';
import { findPostgres } from './postgres-binaries.ts';
import { createCluster, passwordFile } from './postgres-cluster.ts';
import { postgresHome } from './postgres-home.ts';
import { clearLeftover, DataDirectoryInUse } from './postgres-leftover.ts';
import { type PostgresProcess, PostgresRefused, runPostgres } from './postgres-process.ts';

export interface EmbeddedPostgres {
  /** Of the database `tasks`, which exists, as the server's superuser. */
  readonly url: string;
  /** Ends open connections and stops the server, within seconds. May be called more than once. */
  stop(): Promise<void>;
}

/**
 * Starts a real PostgreSQL of this process's own, on 127.0.0.1, whose data stay under `dataDir` between runs.
 *
 * When this process is root the server runs as another user; if that one cannot get to `dataDir`, `dataDir` becomes a
 * symbolic link to where it can. The server stops when this process ends, by `kill -9` too; a signal to the terminal's
 * process group does not reach it.
 * @param port a free one when not given
 * @throws DataDirectoryInUse when another live process uses the directory
 * @throws Error with the remedy when there is no PostgreSQL for this machine
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  log: Logger;
  port?: number;
}): Promise<EmbeddedPostgres> {
  const { log } = options;
  const dataDir = resolve(options.dataDir);
  await mkdir(dirname(dataDir), { recursive: true });
  const account = await serverAccount(dataDir);
  const bin = await findPostgres({ account, log });
  const home = await postgresHome({ dataDir, account, log });
  const cluster = join(home, 'cluster');
  await createCluster({ cluster, bin, account, log });
  await clearLeftover({ cluster, log });

  const { server, port } = await runOnPort(options.port, (port) =>
    runPostgres({ bin, cluster, port, account, log }),
  );
  try {
    const password = await readFile(passwordFile(cluster), 'utf8');
    const url = `postgresql://postgres:${password}@127.0.0.1:${port}/tasks`;
    await ensureDatabase(url);
    return { url, stop: server.stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const ATTEMPTS = 5;

async function runOnPort(
  wanted: number | undefined,
  run: (port: number) => Promise<PostgresProcess>,
): Promise<{ server: PostgresProcess; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = wanted ?? (await freePort());
    try {
      return { server: await run(port), port };
    } catch (error) {
      if (!(error instanceof PostgresRefused)) throw error;
      if (error.says('lock file "postmaster.pid" already exists')) {
        throw new DataDirectoryInUse(
          'Another process is starting PostgreSQL on this data directory.',
          {
            cause: error,
          },
        );
      }
      // Somebody took the free port before the server did.
      const retry = wanted === undefined && attempt < ATTEMPTS;
      if (!(retry && error.says('Address already in use'))) throw error;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

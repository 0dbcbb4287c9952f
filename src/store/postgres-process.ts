import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { Account } from './postgres-account.ts';
import { SERVER_ENVIRONMENT } from './postgres-cluster.ts';
import { OWNER_PREFIX } from './postgres-leftover.ts';

export interface PostgresProcess {
  stop(): Promise<void>;
}

/** The server ended before it was ready. The message ends with what it said. */
export class PostgresRefused extends Error {
  override readonly name = 'PostgresRefused';
  readonly #lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(`The embedded PostgreSQL did not start:\n${lines.join('\n')}`);
    this.#lines = lines;
  }

  says(text: string): boolean {
    return this.#lines.some((line) => line.includes(text));
  }
}

/**
 * Runs the server in a session of its own, out of reach of Ctrl-C, and resolves when it takes connections.
 * @throws PostgresRefused
 */
export async function runPostgres({
  bin,
  cluster,
  port,
  account,
  log,
}: {
  bin: string;
  cluster: string;
  port: number;
  account: Account | undefined;
  log: Logger;
}): Promise<PostgresProcess> {
  const server = spawn(
    '/bin/sh',
    ['-c', ON_A_LEASH, 'sh', join(bin, 'postgres'), '-D', cluster, ...settings(port)],
    {
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      ...account,
    },
  );
  const { stderr } = server;
  const leash = server.stdio[3];
  if (!stderr || !(leash instanceof Writable)) throw new Error('spawn gave no pipes');

  let phase: 'starting' | 'running' | 'stopping' = 'starting';
  const lines: string[] = [];
  const silent = once(stderr, 'close');
  const exited = once(server, 'exit').finally(() => {
    // A line, unlike the end of the stream, tells the leash that there is nothing left to stop.
    leash.end('\n');
    if (phase === 'running') log.error({ lines }, 'the embedded PostgreSQL has stopped by itself');
  });
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: stderr }).on('line', (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      log.debug({ postgres: line });
      if (line.includes('database system is ready to accept connections')) resolve();
    });
  });
  const refused = exited.then(async () => {
    await silent;
    throw new PostgresRefused(lines);
  });
  // Once the server runs its end is no failure to start.
  refused.catch(() => {});
  await Promise.race([ready, refused]);
  phase = 'running';

  return {
    async stop() {
      phase = 'stopping';
      // SIGINT is PostgreSQL's fast shutdown; SIGQUIT its immediate one, which the next start repairs.
      server.kill('SIGINT');
      const impatience = setTimeout(() => server.kill('SIGQUIT'), PATIENCE_MS);
      await exited;
      clearTimeout(impatience);
    },
  };
}

const KEPT_LINES = 20;
const PATIENCE_MS = 5_000;

/**
 * File descriptor 3 comes to its end when the process that started us is gone, however it went. $$ is the shell, and
 * from `exec` on the server. The watcher is nobody's child, since the server takes a child it does not know for a crash.
 */
const ON_A_LEASH = `
( ( read -r line || kill -INT $$ ) <&3 >/dev/null 2>&1 & )
exec "$@" 3<&-
`;

function settings(port: number): string[] {
  const values = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    cluster_name: `${OWNER_PREFIX}${process.pid}`,
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

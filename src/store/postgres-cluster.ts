import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import type { Account } from './postgres-account.ts';

/** Where the superuser's password is kept, next to PostgreSQL's own files and as private as they are. */
export function passwordFile(cluster: string): string {
  return join(cluster, 'async-task-manager.password');
}

/** Runs initdb unless the cluster is there. Killed half-way, it leaves no half-made cluster. */
export async function createCluster({
  cluster,
  bin,
  account,
  log,
}: {
  cluster: string;
  bin: string;
  account: Account | undefined;
  log: Logger;
}): Promise<void> {
  if (await stat(cluster).catch(() => undefined)) return;
  log.info({ cluster }, 'creating the PostgreSQL data directory');
  const half = await mkdtemp(`${cluster}-`);
  try {
    const secret = join(half, 'password');
    const data = join(half, 'data');
    await writeFile(secret, randomBytes(24).toString('hex'), { mode: 0o600 });
    if (account) for (const path of [half, secret]) await chown(path, account.uid, account.gid);
    await promisify(execFile)(
      join(bin, 'initdb'),
      [`--pgdata=${data}`, `--pwfile=${secret}`, ...INITDB_OPTIONS],
      { cwd: '/', env: SERVER_ENVIRONMENT, ...account },
    );
    await rename(secret, passwordFile(data));
    await rename(data, cluster).catch((error: unknown) => {
      // Another start has just made it; what uses it sees to it that there is one user only.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
    });
  } finally {
    await rm(half, { recursive: true });
  }
}

/** Nothing of ours: PGPORT, PGOPTIONS and the like would steer it. Messages in English, since some are read. */
export const SERVER_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const INITDB_OPTIONS = [
  '--username=postgres',
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  // Sorts by code point and needs no locale of the machine, like C, but knows the upper and lower case of all letters.
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--no-instructions',
];

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { type Account, canEnter } from './postgres-account.ts';

/** Where root keeps what another user must reach but could not in a clone under a private home directory. */
export const SHARED_DIRECTORY = '/var/lib/async-task-manager';

/**
 * The real directory behind `dataDir`, made if need be, which belongs to the account and which it can enter.
 * If it cannot enter `dataDir`, the data move under SHARED_DIRECTORY and `dataDir` becomes a link to them.
 */
export async function postgresHome(options: {
  dataDir: string;
  account: Account | undefined;
  log: Logger;
}): Promise<string> {
  const { dataDir, account, log } = options;
  const before = await lstat(dataDir).catch(() => undefined);
  if (account === undefined) {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const { uid } = await stat(dataDir);
    if (uid === process.getuid?.()) return realpath(dataDir);
    throw new Error(
      `${dataDir} belongs to another user: it was made when this ran as root. ` +
        'Run as root again, remove it (its data are lost then), or set DATABASE_URL.',
    );
  }
  if (before?.isSymbolicLink()) {
    const home = await realpath(dataDir).catch(() => undefined);
    if (home === undefined) {
      log.warn({ dataDir }, 'the PostgreSQL data behind this link are gone: beginning anew');
      await rm(dataDir);
      return postgresHome(options);
    }
    log.info({ dataDir, home }, 'the PostgreSQL data are kept outside the clone');
    return own(home, account);
  }
  if (await canEnter(account, await realpath(dirname(dataDir)))) {
    await mkdir(dataDir, { recursive: true });
    return own(await realpath(dataDir), account);
  }
  await mkdir(SHARED_DIRECTORY, { recursive: true });
  await chmod(SHARED_DIRECTORY, 0o755);
  const home = join(SHARED_DIRECTORY, `data-${randomBytes(6).toString('hex')}`);
  await mkdir(home);
  if (before) await moveInto(home, dataDir);
  await symlink(home, dataDir);
  log.info({ dataDir, home }, 'the server cannot enter the clone: its data are kept outside');
  return own(home, account);
}

async function moveInto(home: string, dataDir: string) {
  // Not fs.cp: owners and modes matter to PostgreSQL.
  await promisify(execFile)('cp', ['-a', `${dataDir}/.`, home]);
  await rm(dataDir, { recursive: true });
}

async function own(home: string, { uid, gid }: Account): Promise<string> {
  await chown(home, uid, gid);
  await chmod(home, 0o700);
  return home;
}

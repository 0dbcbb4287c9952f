import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from 'pino';

/** Two servers on one directory would destroy it. */
export class DataDirectoryInUse extends Error {
  override readonly name = 'DataDirectoryInUse';
}

/** The server's `cluster_name`, which is part of its command line: tells who started it. */
export const OWNER_PREFIX = 'async-task-manager-of-';

/**
 * Makes way for a new server: stops one whose owner is dead, removes the lock file of one that is dead itself.
 * PostgreSQL alone would take the lock file for valid if any process now has the number of the dead one.
 * @throws DataDirectoryInUse when the server's owner lives
 */
export async function clearLeftover({ cluster, log }: { cluster: string; log: Logger }) {
  const lockFile = join(cluster, 'postmaster.pid');
  const pid = Number((await readFile(lockFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!pid) return;
  const command = await commandOf(pid);
  if (!command.includes(cluster)) {
    await rm(lockFile, { force: true });
    return;
  }
  const owner = Number(new RegExp(`${OWNER_PREFIX}(\\d+)`).exec(command)?.[1] ?? 0);
  if (owner === 0 || (await commandOf(owner)) !== '') {
    throw new DataDirectoryInUse(
      `PostgreSQL process ${pid} is running on ${cluster}, started by process ${owner || 'unknown'}. ` +
        'Stop that one first, or set DATABASE_URL to use another server.',
    );
  }
  log.info({ server: pid }, 'stopping the PostgreSQL that a killed run left behind');
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (await isGoneAfter(pid, signal, cluster)) return;
  }
  throw new DataDirectoryInUse(
    `PostgreSQL process ${pid} is running on ${cluster} and does not stop.`,
  );
}

const PATIENCE_MS = 5_000;
const POLL_MS = 20;

async function isGoneAfter(pid: number, signal: NodeJS.Signals, cluster: string): Promise<boolean> {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
  // Not a child of ours, so its end is no event.
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    if (!(await commandOf(pid)).includes(cluster)) return true;
    await setTimeout(POLL_MS);
  }
  return false;
}

/** The command line of a process; empty when it is dead, or a zombie. */
async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  }
  const options = ['-ww', '-o', 'command=', '-p', String(pid)];
  const { stdout } = await promisify(execFile)('ps', options).catch(() => ({ stdout: '' }));
  return stdout.trim();
}

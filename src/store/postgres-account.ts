import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A user that a child process can run as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who is to run PostgreSQL, which refuses to run as root: nobody but us, that is undefined, unless we are root.
 * Then whoever owns the data directory, or what it is to be made in (a clone's own user, when root runs it by `sudo`);
 * else the user `postgres`; else `nobody`.
 */
export async function serverAccount(dataDir: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = await readUsers();
  const owner = await nearestOwner(dataDir);
  if (owner.uid !== 0 && users.some(({ uid }) => uid === owner.uid)) return owner;
  for (const wanted of ['postgres', 'nobody']) {
    const user = users.find(({ name, uid }) => name === wanted && uid > 0);
    if (user) return { uid: user.uid, gid: user.gid };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as. ' +
      'Start as another user, or set DATABASE_URL to use a server of your own.',
  );
}

/** Whether the account may enter the directory: search permission on it and on all above it. ACLs do not count. */
export async function canEnter(account: Account, directory: string): Promise<boolean> {
  for (let path = directory; ; path = dirname(path)) {
    if (!(await isAllowed(account, path, SEARCH))) return false;
    if (path === dirname(path)) return true;
  }
}

/** Whether the account may read the file, in all directories on the way. */
export async function canRead(account: Account, file: string): Promise<boolean> {
  return (await canEnter(account, dirname(file))) && (await isAllowed(account, file, READ));
}

const SEARCH = 0o1;
const READ = 0o4;

async function isAllowed(account: Account, path: string, permission: number): Promise<boolean> {
  const { mode, uid, gid } = await stat(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & permission) !== 0;
}

async function readUsers(): Promise<(Account & { name: string })[]> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return passwd.split('\n').flatMap((line) => {
    const [name = '', , uid, gid] = line.split(':');
    return uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

async function nearestOwner(path: string): Promise<Account> {
  const owner = await stat(path).catch(() => undefined);
  return owner ? { uid: owner.uid, gid: owner.gid } : nearestOwner(dirname(path));
}

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Link, openLink } from '../support/link.ts';
import { pause } from './pause.ts';

/** One process of the service, or the one that has taken its place. */
export interface Member {
  /** Such as `worker 2`. */
  readonly name: string;
  /** Where its API answers; undefined in a worker. */
  readonly url: string | undefined;
  readonly links: { readonly postgres: Link; readonly rabbit: Link };
  /** A fault is being done to it. */
  busy: boolean;
  start(): void;
  /** kill -9. Resolves when it is gone. */
  crash(): Promise<void>;
  /** SIGTERM. Resolves when it is gone, which must be by itself, in time and with exit code 0. */
  drain(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  close(): Promise<void>;
}

const CHECKOUT = join(import.meta.dirname, '../..');
/** The grace period of 5 s, and 15 s for a database that does not answer. */
const DRAINED_WITHIN_MS = 25_000;
/** Who is told to go before it has started need not have learnt how. */
const STARTED_WITHIN_MS = 5_000;

/** @param onOffence told when it ends by itself, or not as it should */
export async function createMember(options: {
  name: string;
  role: 'api' | 'worker';
  /** Only for an API. */
  port?: number;
  databaseUrl: string;
  rabbitUrl: string;
  logFolder: string;
  onOffence: (what: string) => void;
}): Promise<Member> {
  const { name, role, port, onOffence } = options;
  const links = {
    postgres: await openLink(options.databaseUrl),
    rabbit: await openLink(options.rabbitUrl),
  };
  const logFile = join(options.logFolder, `${name.replace(' ', '-')}.log`);
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    PATH,
    HOME,
    DATABASE_URL: links.postgres.url,
    RABBITMQ_URL: links.rabbit.url,
    PORT: String(port ?? 0),
    WORKER_CONCURRENCY: 'HIGH=10,MEDIUM=10,LOW=10',
  };
  let current: { child: ChildProcess; gone: Promise<void>; startedAt: number } | undefined;

  function start(): void {
    const log = openSync(logFile, 'a');
    // In a group of its own: Ctrl-C is for this program, which then ends the others.
    const child = spawn(process.execPath, ['src/main.ts', role], {
      cwd: CHECKOUT,
      env,
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const started = { child, gone, startedAt: performance.now() };
    current = started;
    void gone.then(() => {
      if (current !== started) return;
      current = undefined;
      const how = child.exitCode ?? child.signalCode;
      onOffence(`${name} ended by itself (${how}), having said:\n${lastLines(logFile)}`);
      start();
    });
  }

  /** From here on its end is expected. */
  function letGo() {
    const leaving = current;
    current = undefined;
    return leaving;
  }

  async function crash(): Promise<void> {
    const leaving = letGo();
    leaving?.child.kill('SIGKILL');
    await leaving?.gone;
  }

  return {
    name,
    url: port === undefined ? undefined : `http://127.0.0.1:${port}`,
    links,
    busy: false,
    start,
    crash,
    async drain() {
      const leaving = letGo();
      if (leaving === undefined) return;
      const { child, gone, startedAt } = leaving;
      const isYoung = performance.now() - startedAt < STARTED_WITHIN_MS;
      child.kill('SIGTERM');
      await Promise.race([gone, pause(DRAINED_WITHIN_MS)]);
      const how = child.exitCode ?? child.signalCode;
      child.kill('SIGKILL');
      await gone;
      if (how === 0 || isYoung) return;
      const what = how === null ? `was not gone ${DRAINED_WITHIN_MS} ms` : `ended with ${how}`;
      onOffence(`${name} ${what} after SIGTERM, having said:\n${lastLines(logFile)}`);
    },
    signal: (signal) => void current?.child.kill(signal),
    async close() {
      await crash();
      await Promise.all([links.postgres.close(), links.rabbit.close()]);
    },
  };
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
}

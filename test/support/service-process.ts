import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFailed, onTestFinished, vi } from 'vitest';
import type { Role } from '../../src/config.ts';

/** One line of what a process says. Its text; and its fields, when it is a line of the log. */
export interface OutputLine {
  text: string;
  msg?: string;
  [field: string]: unknown;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** `node src/main.ts <role>` as users start it. Killed when the test ends, however it ends. */
export interface ServiceProcess {
  readonly pid: number;
  /** All that it has said, on both outputs. */
  readonly lines: readonly OutputLine[];
  /** Resolves when it is gone and has said its last. */
  readonly exited: Promise<Exit>;
  readonly isRunning: boolean;
  /** Resolves to the `nth` line that contains `text`, as soon as there is one. Rejects when the process ends without. */
  said(text: string, nth?: number): Promise<OutputLine>;
  /** How many lines contain `text` so far. */
  count(text: string): number;
  kill(signal: NodeJS.Signals): void;
  /** As the terminal does on Ctrl-C: to the process and to all of its group. */
  killGroup(signal: NodeJS.Signals): void;
}

/** A process that serves the API. */
export interface ApiProcess extends ServiceProcess {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
}

const CHECKOUT = join(import.meta.dirname, '../..');

interface SpawnOptions {
  env?: Record<string, string>;
  checkout?: string;
  /** What is run instead of the service's own entry. */
  script?: string;
}

/**
 * Starts a process without waiting for anything. Of this process's environment it gets only what any program needs; the
 * role `all` is started as `make start` does it, by naming none.
 */
export function spawnService(
  role: Role,
  { env = {}, checkout = CHECKOUT, script = 'src/main.ts' }: SpawnOptions = {},
): ServiceProcess {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [script, ...(role === 'all' ? [] : [role])], {
    cwd: checkout,
    // Empty is as good as unset, and keeps a developer's `.env` out.
    env: { PATH, HOME, DATABASE_URL: '', RABBITMQ_URL: '', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const { pid, stdout, stderr } = child;
  if (pid === undefined) throw new Error(`Could not start ${process.execPath}.`);
  const lines: OutputLine[] = [];
  const listeners = new Set<() => void>();
  for (const input of [stdout, stderr]) {
    createInterface({ input }).on('line', (text) => {
      lines.push(parseLine(text));
      for (const listener of listeners) listener();
    });
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });

  onTestFailed(() => {
    const said = lines.map(({ text }) => `  ${text}`).join('\n');
    process.stderr.write(`\n${role} (process ${pid}) said:\n${said}\n`);
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });

  const matching = (text: string) => lines.filter((line) => line.text.includes(text));
  return {
    pid,
    lines,
    exited,
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    async said(text, nth = 1) {
      const found = Promise.withResolvers<OutputLine>();
      const look = () => {
        const line = matching(text)[nth - 1];
        if (line !== undefined) found.resolve(line);
      };
      listeners.add(look);
      look();
      const ended = exited.then(({ code, signal }) => {
        throw new Error(`${role} ended (${code ?? signal}) without saying "${text}".`);
      });
      try {
        return await Promise.race([found.promise, ended]);
      } finally {
        listeners.delete(look);
      }
    },
    count: (text) => matching(text).length,
    kill: (signal) => void child.kill(signal),
    killGroup: (signal) => void process.kill(-pid, signal),
  };
}

/** Starts a process that serves the API, and waits until it has reached what it needs. */
export async function startApi(
  options: SpawnOptions & { role?: 'api' | 'all' } = {},
): Promise<ApiProcess> {
  const service = spawnService(options.role ?? 'api', options);
  const { url } = await service.said('"started"');
  await vi.waitFor(
    async () => expect((await fetch(`${url}/health/ready`)).status).toBe(200),
    READY_WITHIN,
  );
  // Not a copy: `isRunning` has to stay alive.
  return Object.assign(service, { url: String(url) });
}

/** Starts a worker, and waits until it takes tasks. */
export async function startWorker(
  env: Record<string, string>,
  options: Omit<SpawnOptions, 'env'> = {},
): Promise<ServiceProcess> {
  const service = spawnService('worker', { ...options, env });
  await service.said('"worker registered"');
  return service;
}

const READY_WITHIN = { timeout: 15_000, interval: 20 };

function parseLine(text: string): OutputLine {
  try {
    const fields: unknown = JSON.parse(text);
    return typeof fields === 'object' ? { ...fields, text } : { text };
  } catch {
    return { text };
  }
}

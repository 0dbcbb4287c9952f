import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Answer, Call, Commands, Vitals } from './commands.ts';

/** A process that was started for a measurement, and takes `Commands`. */
export interface Child<Own extends Commands> {
  readonly pid: number;
  hasEnded(): boolean;
  ask<Name extends keyof (Own & Vitals) & string>(
    name: Name,
    ...argument: Parameters<(Own & Vitals)[Name]>
  ): Promise<Awaited<ReturnType<(Own & Vitals)[Name]>>>;
  /** Resolves to the first line it prints that contains `text`. Rejects when it ends without. */
  said(text: string): Promise<string>;
  /** SIGINT, as Ctrl-C does, and SIGKILL for who does not listen. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** Where the programs of the measurements are, from the root of the checkout. */
export const FOLDER = 'bench/streams';

const CHECKOUT = join(import.meta.dirname, '../..');

/** @param options.script path from the root of the checkout */
export function startChild<Own extends Commands>(options: {
  script: string;
  args?: readonly string[];
  execArgv?: readonly string[];
  env?: Readonly<Record<string, string>>;
}): Child<Own> {
  const { script, args = [], execArgv = [], env = {} } = options;
  const { PATH = '', HOME = '' } = process.env;
  const child = fork(join(CHECKOUT, script), args, {
    cwd: CHECKOUT,
    env: { PATH, HOME, ...env },
    execArgv: ['--expose-gc', ...execArgv],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    detached: true,
  });
  const gone = once(child, 'close');
  const calls = new Map<number, PromiseWithResolvers<unknown>>();
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  let count = 0;

  child.on('message', ({ id, result, error }: Answer) => {
    const call = calls.get(id);
    calls.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${script}: ${error}`));
  });
  void gone.then(() => {
    for (const { reject } of calls.values()) reject(new Error(`${script} has ended.`));
  });
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (!line.includes('"level":"info"')) process.stderr.write(`${script}: ${line}\n`);
      for (const listener of listeners) listener();
    });
  }

  return {
    pid: child.pid ?? Number.NaN,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    ask(name, ...[argument]) {
      const call = Promise.withResolvers<unknown>();
      const id = count++;
      calls.set(id, call);
      child.send({ id, name, argument } satisfies Call);
      return call.promise as Promise<never>;
    },
    async said(text) {
      const found = Promise.withResolvers<string>();
      const look = () => {
        const line = lines.find((line) => line.includes(text));
        if (line !== undefined) found.resolve(line);
      };
      listeners.add(look);
      look();
      const ended = gone.then(() => Promise.reject(new Error(`${script} has ended.`)));
      return Promise.race([found.promise, ended]).finally(() => listeners.delete(look));
    },
    async stop() {
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS);
      await gone;
      clearTimeout(late);
    },
  };
}

const STOPPED_WITHIN_MS = 20_000;

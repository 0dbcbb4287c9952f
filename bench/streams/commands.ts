/** Functions that the process which started this one may call. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

export interface Call {
  id: number;
  name: string;
  argument: unknown;
}

export interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

/** What can be asked of every process. */
export type Vitals = typeof vitals;

const vitals = {
  /** Processor time that it has used so far, in milliseconds. */
  cpuMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  /** Bytes, after a collection where it was started with `--expose-gc`. */
  memory() {
    globalThis.gc?.();
    globalThis.gc?.();
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rss, heap: heapUsed + external };
  },
  /** Bytes, as they are. */
  rss: () => process.memoryUsage.rss(),
};

/** Answers calls from now on. Ends this process when the one that started it is gone. */
export function serveCommands(commands: Commands): void {
  const known: Commands = { ...vitals, ...commands };
  process.on('message', async ({ id, name, argument }: Call) => {
    const answer: Answer = { id };
    try {
      const command = known[name];
      if (command === undefined) throw new Error(`There is no command ${name}.`);
      answer.result = await command(argument as never);
    } catch (error) {
      answer.error = String(error);
    }
    process.send?.(answer);
  });
  process.once('disconnect', () => process.exit());
}

/** Milliseconds by a clock that all processes of this machine share. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

import type { Logger } from 'pino';
import { createReleases } from '../src/shutdown.ts';
import type { Contender, Site } from './contender.ts';
import type { Servers } from './servers.ts';

/** What a scenario is given. */
export interface Bench {
  readonly servers: Servers;
  readonly rounds: number;
  /** How many tasks, where a scenario's own number is not wanted. */
  readonly tasks: number | undefined;
  /** How many minutes the long run takes. */
  readonly minutes?: number | undefined;
  readonly log: Logger;
  /** How to close what is open at the moment. */
  readonly open: Set<() => Promise<void>>;
  /** Fires when this is interrupted. */
  readonly signal: AbortSignal;
  tell(line: string): void;
}

/** Those whose servers are there. */
export function present(bench: Bench, contenders: readonly Contender[]): Contender[] {
  return contenders.filter(({ name, needs }) => {
    const missing = needs.filter((server) => bench.servers[server] === undefined);
    if (missing.length > 0) bench.tell(`${name} is left out: ${missing.join(' and ')} is missing.`);
    return missing.length === 0;
  });
}

/** Does something in a place of its own, and leaves nothing of it behind. */
export async function onSite<T>(
  { servers, log, open, signal }: Bench,
  favour: Site['favour'],
  work: (site: Site) => Promise<T>,
): Promise<T> {
  const releases = createReleases(log);
  const close = inTurn(releases.run);
  open.add(close);
  sites += 1;
  try {
    return await work({ servers, releases, favour, name: `bench_${process.pid}_${sites}` });
  } catch (error) {
    // What it was working with has been taken from it. The process is about to end.
    if (signal.aborted) await new Promise(() => {});
    throw error;
  } finally {
    await close();
    open.delete(close);
  }
}

let sites = 0;

/** Whoever calls it while it is at it waits for both, so that nobody leaves in the middle. */
function inTurn(work: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(work);
    return last;
  };
}

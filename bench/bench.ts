import type { Logger } from 'pino';
import { createReleases, type Releases } from '../src/shutdown.ts';
import type { Contender, Site } from './contender.ts';
import type { Servers } from './servers.ts';

/** What a scenario is given. */
export interface Bench {
  readonly servers: Servers;
  readonly rounds: number;
  /** How many tasks, where a scenario's own number is not wanted. */
  readonly tasks: number | undefined;
  readonly log: Logger;
  /** What is open at the moment: the last first to go when this is interrupted. */
  readonly open: Set<Releases>;
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
  { servers, log, open }: Bench,
  favour: Site['favour'],
  work: (site: Site) => Promise<T>,
): Promise<T> {
  const releases = createReleases(log);
  open.add(releases);
  sites += 1;
  try {
    return await work({ servers, releases, favour, name: `bench_${process.pid}_${sites}` });
  } finally {
    await releases.run();
    open.delete(releases);
  }
}

let sites = 0;

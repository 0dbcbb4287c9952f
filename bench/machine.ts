import { execFileSync } from 'node:child_process';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import type { Servers } from './servers.ts';

/** What the figures were measured on. */
export function describeMachine(servers: Servers): Record<string, string> {
  const [cpu] = cpus();
  return {
    processor: `${cpus().length} × ${cpu?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${platform()} ${release()}`,
    'Node.js': process.version,
    // Of the minute before. Anything near the number of cores means that somebody else is at work.
    'load before': (loadavg()[0] ?? NaN).toFixed(2),
    commit: commit(),
    ...Object.fromEntries(
      Object.entries(servers).map(([name, { description }]) => [name, description]),
    ),
  };
}

function commit(): string {
  try {
    const text = execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    });
    return text.trim();
  } catch {
    return 'unknown';
  }
}

import type { Audit } from '../support/audit.ts';
import type { Load } from './load.ts';

/** The table that a run ends with, the first of each kind of breach below it. */
export function formatReport(run: {
  load: Load;
  faults: ReadonlyMap<string, number>;
  account: Audit;
  /** How long the last open task took after the load had ended. */
  settledMs: number;
  /** What the processes and the answers did that no fault excuses. */
  offences: readonly string[];
}): { text: string; isClean: boolean } {
  const { load, faults, account, settledMs, offences } = run;
  const { lost, stranded, completedTwice, breaches, byStatus } = account;
  const latencies = load.latenciesMs.toSorted((one, other) => one - other);
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)]?.toFixed(0);
  const wrong = [lost, stranded, completedTwice, breaches, offences];
  const rows: [string, string | number | undefined][] = [
    ['acknowledged', load.acknowledged.size],
    ['stored', account.stored],
    ['completed', byStatus.COMPLETED],
    ['failed', byStatus.FAILED],
    ['cancelled', byStatus.CANCELLED],
    ['cancels / retries acknowledged', `${load.cancelled.size} / ${load.retried.size}`],
    ['creates repeated after an error', load.repeated],
    ['lost', lost.length],
    ['stranded', stranded.length],
    ['completed twice', completedTwice.length],
    ['other breaches of the contract', breaches.length],
    ['inexcusable answers and exits', offences.length],
    ['create p50 / p99 / most', `${at(0.5)} / ${at(0.99)} / ${at(1)} ms`],
    ['last task final after', `${(settledMs / 1_000).toFixed(1)} s`],
    ['faults', [...faults.values()].reduce((sum, count) => sum + count, 0)],
    ...counted(faults),
    ['client errors', [...load.errors.values()].reduce((sum, count) => sum + count, 0)],
    ...counted(load.errors),
  ];
  const table = rows.map(([name, value]) => `${name.padEnd(40)} ${String(value).padStart(12)}`);
  const examples = wrong.flatMap((list) => list.slice(0, EXAMPLES));
  return {
    text: [...table, ...examples].join('\n'),
    isClean: wrong.every((list) => list.length === 0),
  };
}

const EXAMPLES = 10;

function counted(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, count]) => [`  ${name}`, count]);
}

import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, onSite, present } from '../bench.ts';
import type { Contender, Site } from '../contender.ts';
import { bullmq, bullmqWithRow } from '../contenders/bullmq.ts';
import { graphileWorkerWithRow } from '../contenders/graphile-worker.ts';
import { pgBoss } from '../contenders/pg-boss.ts';
import { thisServiceOverRest } from '../contenders/this-service.ts';
import type { LoadCommands } from '../load/load.ts';
import { type Figures, holdRounds, ratios } from '../rounds.ts';
import { startChild } from '../streams/child.ts';
import { type Findings, quantile } from '../streams/figures.ts';
import { untilCompleted } from '../until-completed.ts';

const TASKS = 200;
const WARM_UP = 50;
const GAP_MS = [30, 50] as const;
const SETTLED_MS = 1_000;

/**
 * One task at a time on a system that has nothing else to do: from the first byte of its POST until its handler starts,
 * and until a client that watches is told that it is COMPLETED.
 *
 * The start is taken in the worker, as the first thing in the handler, and the rest in the processes of the clients. All
 * by the monotonic clock of the machine, so that the figures are exact to what a function call takes.
 */
export async function measureIdleLatency(bench: Bench): Promise<Findings> {
  const contenders = present(bench, [
    { ...thisServiceOverRest, name: 'this service' },
    bullmq,
    bullmqWithRow,
    pgBoss,
    graphileWorkerWithRow,
  ]);
  const results = await holdRounds(
    bench,
    contenders.map((contender) => ({
      name: contender.name,
      measure: () => onSite(bench, 'latency', (site) => time(contender, site)),
    })),
  );
  const byStart = ratios(results, 'startP50Ms');
  const bySeen = ratios(results, 'seenP50Ms');
  return {
    rows: [
      ['', 'start p50 ms', 'to it', 'p99', 'seen p50 ms', 'to it', 'p99'],
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        ms(median.startP50Ms),
        ratio(byStart[name]),
        ms(median.startP99Ms),
        ms(median.seenP50Ms),
        ratio(bySeen[name]),
        ms(median.seenP99Ms),
      ]),
    ],
    figures: { tasks: TASKS, results, ratios: { startP50Ms: byStart, seenP50Ms: bySeen } },
  };
}

async function time(contender: Contender, site: Site): Promise<Figures> {
  const deployment = await contender.deploy(site);
  const worker = await deployment.startWorker();
  const api = await deployment.startApi();
  const load = startChild<LoadCommands>({ script: 'bench/load/load.ts' });
  site.releases.push('the load', load.stop);
  const watcher = await deployment.watch?.(api);
  const target = { url: api.url, ...deployment.create };
  await worker.ask('recordStarts');

  await load.ask('postSingly', { target, count: WARM_UP, gapMs: [5, 15] });
  await pause(SETTLED_MS);
  const sentAt = await load.ask('postSingly', { target, count: TASKS, gapMs: GAP_MS });
  await untilCompleted(deployment, WARM_UP + TASKS);
  // What was told last is under way to the one who watches.
  await pause(SETTLED_MS);
  const starts = since(sentAt, await worker.ask('starts'));
  const seen = watcher === undefined ? [] : since(sentAt, await watcher.seen());
  return {
    startP50Ms: quantile(starts, 0.5),
    startP99Ms: quantile(starts, 0.99),
    ...(watcher === undefined
      ? {}
      : { seenP50Ms: quantile(seen, 0.5), seenP99Ms: quantile(seen, 0.99) }),
  };
}

function since(from: ReadonlyMap<string, number>, to: ReadonlyMap<string, number>): number[] {
  return [...from].map(([id, at]) => {
    const until = to.get(id);
    if (until === undefined) throw new Error(`Nothing was seen of ${id}.`);
    return until - at;
  });
}

function ms(value: number | undefined): string {
  return value?.toFixed(2) ?? '';
}

function ratio(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(2);
}

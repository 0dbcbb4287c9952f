import { type Bench, onSite, present } from '../bench.ts';
import type { Contender, Site } from '../contender.ts';
import { bullmq, bullmqWithRow } from '../contenders/bullmq.ts';
import { graphileWorkerWithRow } from '../contenders/graphile-worker.ts';
import { pgBoss } from '../contenders/pg-boss.ts';
import { thisServiceOverGraphql, thisServiceOverRest } from '../contenders/this-service.ts';
import type { LoadCommands } from '../load/load.ts';
import { cpuMs, machineCpuMs } from '../process-usage.ts';
import { type Figures, holdRounds, ratios } from '../rounds.ts';
import { startChild } from '../streams/child.ts';
import { type Findings, quantile, whole } from '../streams/figures.ts';
import { untilCompleted } from '../until-completed.ts';

const TASKS = 10_000;
/** What `make profile` takes as well. */
export const CONNECTIONS = 50;
const MANY_TASKS = 30_000;
const MANY_CONNECTIONS = 500;
/** What compiles at first and fills caches. */
const WARM_UP_SHARE = 0.2;

/** POST by POST from 50 connections, with the worker on, until the last task is COMPLETED. */
export function measureWholeService(bench: Bench): Promise<Findings> {
  const tasks = bench.tasks ?? TASKS;
  return measureServing(bench, { tasks, connections: CONNECTIONS });
}

/** The same from ten times as many, which is more than any of them needs to be at its best. */
export function measureManyClients(bench: Bench): Promise<Findings> {
  const tasks = bench.tasks ?? MANY_TASKS;
  return measureServing(bench, { tasks, connections: MANY_CONNECTIONS });
}

async function measureServing(bench: Bench, load: Load): Promise<Findings> {
  const { tasks, connections } = load;
  const contenders = present(bench, [
    thisServiceOverRest,
    thisServiceOverGraphql,
    bullmq,
    bullmqWithRow,
    pgBoss,
    graphileWorkerWithRow,
  ]);
  const results = await holdRounds(
    bench,
    contenders.map((contender) => ({
      name: contender.name,
      measure: () => onSite(bench, 'throughput', (site) => serve(contender, site, load)),
    })),
  );
  const byCompleted = ratios(results, 'completedPerSecond');
  const byPosts = ratios(results, 'postsPerSecond');
  return {
    rows: [
      HEAD,
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        whole(median.postsPerSecond ?? NaN),
        byPosts[name]?.toFixed(2) ?? '',
        whole(median.completedPerSecond ?? NaN),
        byCompleted[name]?.toFixed(2) ?? '',
        (median.p50Ms ?? NaN).toFixed(1),
        (median.p99Ms ?? NaN).toFixed(1),
        (median.loadCpuShare ?? NaN).toFixed(2),
        whole((median.apiCpuUsPerTask ?? NaN) + (median.workerCpuUsPerTask ?? NaN)),
        whole(median.serversCpuUsPerTask ?? NaN),
      ]),
    ],
    figures: {
      tasks,
      connections,
      results,
      ratios: { completedPerSecond: byCompleted, postsPerSecond: byPosts },
    },
  };
}

const HEAD: [string, ...string[]] = [
  '',
  'POST/s',
  'REST to it',
  'completed/s',
  'REST to it',
  'p50 ms',
  'p99 ms',
  'load CPU',
  'CPU µs/task, own',
  'servers',
];

interface Load {
  tasks: number;
  connections: number;
}

/** @param options.apiArgv, options.workerArgv more options of Node */
export async function serve(
  contender: Contender,
  site: Site,
  options: Load & { apiArgv?: readonly string[]; workerArgv?: readonly string[] },
): Promise<Figures> {
  const { tasks, connections, apiArgv = [], workerArgv = [] } = options;
  const deployment = await contender.deploy(site);
  const worker = await deployment.startWorker({ execArgv: workerArgv });
  const api = await deployment.startApi({ execArgv: apiArgv });
  const load = startChild<LoadCommands>({ script: 'bench/load/load.ts' });
  site.releases.push('the load', load.stop);
  const target = { url: api.url, ...deployment.create };

  const warmUp = Math.round(tasks * WARM_UP_SHARE);
  await load.ask('postAll', { target, connections, count: warmUp });
  await untilCompleted(deployment, warmUp);
  const pids = [api.pid, worker.pid, load.pid];
  const before = await Promise.all(pids.map(cpuMs));
  const machineBefore = machineCpuMs();
  const posted = await load.ask('postAll', { target, connections, count: tasks });
  const { lastAt } = await untilCompleted(deployment, warmUp + tasks);
  const after = await Promise.all(pids.map(cpuMs));
  const machineMs = machineCpuMs() - machineBefore;

  const { startedAt, endedAt, latenciesMs } = posted;
  const used = after.map((ms, i) => ms - (before[i] ?? NaN));
  const [apiCpuMs, workerCpuMs, loadCpuMs] = used;
  const otherCpuMs = used.reduce((left, ms) => left - ms, machineMs);
  const lastMs = Math.max(endedAt, lastAt) - startedAt;
  return {
    postsPerSecond: (tasks / (endedAt - startedAt)) * 1_000,
    completedPerSecond: (tasks / lastMs) * 1_000,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    // Of one core, while it was posting: near 1 it would be the load that is measured.
    loadCpuShare: (loadCpuMs ?? NaN) / (endedAt - startedAt),
    apiCpuUsPerTask: ((apiCpuMs ?? NaN) / tasks) * 1_000,
    workerCpuUsPerTask: ((workerCpuMs ?? NaN) / tasks) * 1_000,
    // PostgreSQL, RabbitMQ and Redis, if nobody else is at work.
    serversCpuUsPerTask: (otherCpuMs / tasks) * 1_000,
  };
}

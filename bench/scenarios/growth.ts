import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, onSite, present } from '../bench.ts';
import type { Site } from '../contender.ts';
import {
  deployThisService,
  type OwnDeployment,
  POST,
  thisServiceOverRest,
} from '../contenders/this-service.ts';
import { fillTasks } from '../fill-tasks.ts';
import type { LoadCommands } from '../load/load.ts';
import { machineCpuMs } from '../process-usage.ts';
import { type Figures, holdRounds } from '../rounds.ts';
import { startChild } from '../streams/child.ts';
import { type Findings, whole } from '../streams/figures.ts';

const WORKERS = [1, 2, 4];
const BACKLOG = 10_000;
const ROWS = [10_000, 1_000_000, 10_000_000];
const POSTS = 5_000;
const WARM_UP = 2_000;
const CONNECTIONS = 50;

/**
 * What a task costs as it grows: with more workers on one backlog, and with more tasks in the table. Cost is processor
 * time of the whole machine, since more processes on the same cores cannot be quicker.
 */
export async function measureGrowth(bench: Bench): Promise<Findings> {
  if (present(bench, [thisServiceOverRest]).length === 0) return { rows: [], figures: {} };
  const most = bench.tasks ?? Number.POSITIVE_INFINITY;
  const results = await holdRounds(bench, [
    ...WORKERS.map((workers) => ({
      name: `${workers} workers, a backlog`,
      measure: () => onSite(bench, 'throughput', (site) => drain(site, workers)),
    })),
    ...ROWS.filter((rows) => rows <= most).map((rows) => ({
      name: `${whole(rows)} tasks in the table, POST to COMPLETED`,
      measure: () => onSite(bench, 'throughput', (site) => serve(site, rows)),
    })),
  ]);
  return {
    rows: [
      ['', 'tasks/s', 'CPU µs/task'],
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        whole(median.tasksPerSecond ?? NaN),
        whole(median.cpuUsPerTask ?? NaN),
      ]),
    ],
    figures: { results },
  };
}

async function drain(site: Site, workers: number): Promise<Figures> {
  const deployment = await deployThisService(site, POST.rest);
  await deployment.enqueue(BACKLOG);
  const cpuBefore = machineCpuMs();
  const started = await Promise.all(
    Array.from({ length: workers }, () => deployment.startWorker()),
  );
  const lastAt = await untilNoneIsOpen(deployment);
  const cpuMs = machineCpuMs() - cpuBefore;
  const firstAt = Math.min(
    ...(await Promise.all(started.map((worker) => worker.ask('firstStartAt')))),
  );
  return {
    tasksPerSecond: (BACKLOG / (lastAt - firstAt)) * 1_000,
    // The start of the processes included.
    cpuUsPerTask: (cpuMs / BACKLOG) * 1_000,
  };
}

async function serve(site: Site, rows: number): Promise<Figures> {
  const deployment = await deployThisService(site, POST.rest);
  await fillTasks(deployment.sql, rows, { open: false });
  await deployment.startWorker();
  const api = await deployment.startApi();
  const load = startChild<LoadCommands>({ script: 'bench/load/load.ts' });
  site.releases.push('the load', load.stop);
  const target = { url: api.url, ...deployment.create };
  await load.ask('postAll', { target, connections: CONNECTIONS, count: WARM_UP });
  await untilNoneIsOpen(deployment);
  const cpuBefore = machineCpuMs();
  const { startedAt } = await load.ask('postAll', {
    target,
    connections: CONNECTIONS,
    count: POSTS,
  });
  const lastAt = await untilNoneIsOpen(deployment);
  return {
    tasksPerSecond: (POSTS / (lastAt - startedAt)) * 1_000,
    cpuUsPerTask: ((machineCpuMs() - cpuBefore) / POSTS) * 1_000,
  };
}

/** @returns when it was seen that none is open any more, in milliseconds of the Unix epoch */
async function untilNoneIsOpen(deployment: OwnDeployment): Promise<number> {
  while (await deployment.hasOpen()) await pause(LOOK_EVERY_MS);
  return Date.now();
}

const LOOK_EVERY_MS = 20;

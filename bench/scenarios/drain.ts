import { type Bench, onSite, present } from '../bench.ts';
import type { Contender, Site } from '../contender.ts';
import { bullmq, bullmqWithRow } from '../contenders/bullmq.ts';
import { graphileWorker, graphileWorkerWithRow } from '../contenders/graphile-worker.ts';
import { pgBoss } from '../contenders/pg-boss.ts';
import { thisServiceOverRest } from '../contenders/this-service.ts';
import { type Figures, holdRounds, ratios } from '../rounds.ts';
import { type Findings, whole } from '../streams/figures.ts';
import { untilCompleted } from '../until-completed.ts';

const TASKS = 50_000;

/** A backlog of no-ops that one worker process comes upon: from its first start of a handler to the last COMPLETED. */
export async function measureDrain(bench: Bench): Promise<Findings> {
  const contenders = present(bench, [
    { ...thisServiceOverRest, name: 'this service' },
    bullmq,
    bullmqWithRow,
    pgBoss,
    graphileWorker,
    graphileWorkerWithRow,
  ]);
  const tasks = bench.tasks ?? TASKS;
  const results = await holdRounds(
    bench,
    contenders.map((contender) => ({
      name: contender.name,
      measure: () => onSite(bench, 'throughput', (site) => drain(contender, site, tasks)),
    })),
  );
  const byRate = ratios(results, 'tasksPerSecond');
  return {
    rows: [
      ['', 'tasks/s', 'this service to it', 'start to first ms'],
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        whole(median.tasksPerSecond ?? NaN),
        byRate[name]?.toFixed(2) ?? '',
        whole(median.startMs ?? NaN),
      ]),
    ],
    figures: { tasks, results, ratios: { tasksPerSecond: byRate } },
  };
}

async function drain(contender: Contender, site: Site, tasks: number): Promise<Figures> {
  const deployment = await contender.deploy(site);
  await deployment.enqueue(tasks);
  const startedAt = Date.now();
  const worker = await deployment.startWorker();
  const { lastAt } = await untilCompleted(deployment, tasks);
  const firstAt = await worker.ask('firstStartAt');
  return {
    tasksPerSecond: (tasks / (lastAt - firstAt)) * 1_000,
    // What it takes to start the process, connect and get the first: not part of the rate.
    startMs: firstAt - startedAt,
  };
}

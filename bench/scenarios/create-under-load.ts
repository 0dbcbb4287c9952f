import { type Bench, onSite, present } from '../bench.ts';
import { type Contender, type CreateRequest, type Site, TASK } from '../contender.ts';
import { thisServiceOverRest } from '../contenders/this-service.ts';
import { measureFlatOut } from '../load/flat-out.ts';
import type { LoadCommands } from '../load/load.ts';
import { type Figures, holdRounds } from '../rounds.ts';
import { startChild } from '../streams/child.ts';
import { type Findings, quantile, whole } from '../streams/figures.ts';
import { untilCompleted } from '../until-completed.ts';

/** At the same pace, not measured: what flat out has left behind is written, compiled and collected meanwhile. */
const SETTLING_SECONDS = 4;
const SECONDS = 15;
/** More than are ever busy at once, unless it falls behind. */
const CONNECTIONS = 200;

/**
 * POST at half of what it takes at most, at a steady pace and with the worker on. What it takes at most is found just
 * before, in the same place, which warms it up as well.
 */
export async function measureCreateUnderLoad(bench: Bench): Promise<Findings> {
  const bodies = describeTasks();
  const results = await holdRounds(
    bench,
    present(bench, [thisServiceOverRest]).flatMap((contender) => [
      {
        name: contender.name,
        measure: () => onSite(bench, 'throughput', (site) => pace(contender, site, {})),
      },
      {
        name: `${contender.name}, with descriptions`,
        measure: () => onSite(bench, 'throughput', (site) => pace(contender, site, { bodies })),
      },
    ]),
  );
  return {
    rows: [
      ['', 'at most/s', 'POST/s', 'p50 ms', 'p99 ms', 'worst ms'],
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        whole(median.atMostPerSecond ?? NaN),
        whole(median.postsPerSecond ?? NaN),
        (median.p50Ms ?? NaN).toFixed(1),
        (median.p99Ms ?? NaN).toFixed(1),
        (median.worstMs ?? NaN).toFixed(1),
      ]),
    ],
    figures: { seconds: SECONDS, results },
  };
}

/** Bodies of tasks whose texts differ, as those of people do: each has to be found by what is in it. */
function describeTasks(): string[] {
  const words = Array.from({ length: DIFFERENT_WORDS }, () =>
    Math.random().toString(36).slice(2, 8),
  );
  const word = () => words[Math.floor(Math.random() * words.length)];
  return Array.from({ length: DESCRIPTIONS }, () => {
    const description = Array.from({ length: WORDS }, word).join(' ');
    return JSON.stringify({ ...TASK, description });
  });
}

const DIFFERENT_WORDS = 3_000;
const DESCRIPTIONS = 5_000;
/** Of each, which has about 200 characters then. */
const WORDS = 30;

async function pace(
  contender: Contender,
  site: Site,
  others: Pick<CreateRequest, 'bodies'>,
): Promise<Figures> {
  const deployment = await contender.deploy(site);
  await deployment.startWorker();
  const api = await deployment.startApi();
  const load = startChild<LoadCommands>({ script: 'bench/load/load.ts' });
  site.releases.push('the load', load.stop);
  const target = { url: api.url, ...deployment.create, ...others };

  const { perSecond: atMostPerSecond, tasks } = await measureFlatOut(load, deployment, target);

  const steadily = { target, perSecond: atMostPerSecond / 2, connections: CONNECTIONS };
  const settling = await load.ask('postSteadily', { ...steadily, seconds: SETTLING_SECONDS });
  const posted = await load.ask('postSteadily', { ...steadily, seconds: SECONDS });
  const { latenciesMs } = posted;
  await untilCompleted(deployment, tasks + settling.latenciesMs.length + latenciesMs.length);
  return {
    atMostPerSecond,
    postsPerSecond: (latenciesMs.length / (posted.endedAt - posted.startedAt)) * 1_000,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    worstMs: quantile(latenciesMs, 1),
  };
}

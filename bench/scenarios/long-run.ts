import type pg from 'pg';
import { type Bench, onSite, present } from '../bench.ts';
import type { Site } from '../contender.ts';
import { deployThisService, POST, thisServiceOverRest } from '../contenders/this-service.ts';
import { measureFlatOut } from '../load/flat-out.ts';
import type { LoadCommands } from '../load/load.ts';
import { residentBytes } from '../process-usage.ts';
import type { Figures } from '../rounds.ts';
import { startChild } from '../streams/child.ts';
import { type Findings, mib, quantile, type Row, whole } from '../streams/figures.ts';

const MINUTES = 60;
const CONNECTIONS = 200;
const SECONDS_A_SAMPLE = 60;
/** How many lines the table has; every sample is in the JSON. */
const LINES = 12;

/**
 * Half of what it takes at most, for an hour, with the worker on: whether it gets slower, whether memory grows, and what
 * each task takes on disk.
 */
export async function measureLongRun(bench: Bench): Promise<Findings> {
  if (present(bench, [thisServiceOverRest]).length === 0) return { rows: [], figures: {} };
  const samples = await onSite(bench, 'throughput', (site) => run(bench, site));
  const every = Math.max(1, Math.floor(samples.length / LINES));
  return {
    rows: [HEAD, ...samples.filter((_sample, index) => (index + 1) % every === 0).map(toRow)],
    figures: { samples },
  };
}

const HEAD: Row = [
  'minute',
  'POST/s',
  'p50 ms',
  'p99 ms',
  'open',
  'api',
  'worker',
  'tasks',
  'bytes/task',
  'of which indexes',
  'dead rows',
];

function toRow(sample: Figures): Row {
  const at = (name: string) => sample[name] ?? NaN;
  return [
    whole(at('minute')),
    whole(at('postsPerSecond')),
    at('p50Ms').toFixed(1),
    at('p99Ms').toFixed(1),
    whole(at('open')),
    mib(at('apiBytes')),
    mib(at('workerBytes')),
    whole(at('tasks')),
    whole(at('bytesPerTask')),
    whole(at('indexBytesPerTask')),
    `${(at('deadShare') * 100).toFixed(1)} %`,
  ];
}

async function run(bench: Bench, site: Site): Promise<Figures[]> {
  const deployment = await deployThisService(site, POST.rest);
  const worker = await deployment.startWorker();
  const api = await deployment.startApi();
  const load = startChild<LoadCommands>({ script: 'bench/load/load.ts' });
  site.releases.push('the load', load.stop);
  const target = { url: api.url, ...deployment.create };

  const flatOut = await measureFlatOut(load, deployment, target);
  const perSecond = flatOut.perSecond / 2;

  const samples: Figures[] = [];
  let { tasks } = flatOut;
  for (let minute = 1; minute <= (bench.minutes ?? MINUTES); minute += 1) {
    const posted = await load.ask('postSteadily', {
      target,
      perSecond,
      seconds: SECONDS_A_SAMPLE,
      connections: CONNECTIONS,
    });
    const { latenciesMs } = posted;
    tasks += latenciesMs.length;
    const sample = {
      minute,
      postsPerSecond: (latenciesMs.length / (posted.endedAt - posted.startedAt)) * 1_000,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      apiBytes: await residentBytes(api.pid),
      workerBytes: await residentBytes(worker.pid),
      tasks,
      ...(await weigh(deployment.sql, tasks)),
    };
    samples.push(sample);
    bench.tell(`  ${HEAD.map((name, i) => `${name} ${toRow(sample)[i]}`).join(', ')}`);
  }
  return samples;
}

/** What the tables take on disk, and what waits: read at once, while the last tasks are still on their way. */
async function weigh(sql: pg.Pool, tasks: number) {
  const { rows } = await sql.query<
    Record<'open' | 'bytes' | 'indexBytes' | 'dead' | 'live', number>
  >(`
    select
      (select count(*) from tasks where status in ('NEW', 'PENDING', 'IN_PROGRESS'))::int as open,
      sum(pg_total_relation_size(relid))::float8 as bytes,
      sum(pg_indexes_size(relid))::float8 as "indexBytes",
      sum(n_dead_tup)::float8 as dead,
      sum(n_live_tup)::float8 as live
    from pg_stat_user_tables where relname in ('tasks', 'task_traits', 'task_events')`);
  const { open = NaN, bytes = NaN, indexBytes = NaN, dead = NaN, live = NaN } = rows[0] ?? {};
  return {
    open,
    bytesPerTask: bytes / tasks,
    indexBytesPerTask: indexBytes / tasks,
    deadShare: dead / live,
  };
}

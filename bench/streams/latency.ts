import { setTimeout as pause } from 'node:timers/promises';
import type { Task } from '../../src/domain/task.ts';
import type { AudienceCommands, Subscription } from './audience.ts';
import { type Child, FOLDER, startChild } from './child.ts';
import { countSince } from './count-since.ts';
import { onSockets, watchTask, watchTasks } from './documents.ts';
import { type Findings, kib, quantile, type Row } from './figures.ts';
import type { RawServerCommands } from './raw-server.ts';
import { type Api, openService, type Service, type Stage } from './service.ts';
import { changeSteadily } from './steady-changes.ts';

const CHANGES_PER_SECOND = 100;
/** How many changes come from one of the task that most watch to the next. */
const CROWD_EVERY = 50;
const PER_QUIET_TASK = 10;
const FILTERS = 5;
/** For what is under way to end, and for lost announcements to be healed. */
const SETTLED_MS = 3_000;

/**
 * Many subscribers on one API process, a fifth of them on one task: what an idle one costs, how long after its commit a
 * change is with the clients, and what that costs the database.
 */
export async function measureLatency(
  stage: Stage,
  options: {
    subscribers: number;
    /** How many subscriptions share a socket; measured with each. */
    perSocket: readonly number[];
    seconds: number;
  },
): Promise<Findings> {
  const { subscribers, seconds } = options;
  const service = await openService(stage);
  const crowd = Math.ceil(subscribers / 5);
  const quietTasks = Math.ceil((subscribers - crowd) / PER_QUIET_TASK);
  const [popular, ...quiet] = await service.createTasks(1 + quietTasks);
  if (popular === undefined) throw new Error('There is no task.');
  const watched: Watched = {
    popular,
    quiet,
    crowd: new Array(crowd).fill(watchTask(popular.id)),
    few: quiet.flatMap(({ id }) => new Array(PER_QUIET_TASK).fill(watchTask(id))),
  };
  const results = [];
  for (const perSocket of options.perSocket) {
    results.push(await measureOnce(stage, service, watched, { perSocket, seconds }));
  }
  return { rows: toRows(results), figures: { subscribers, results } };
}

interface Watched {
  popular: Task;
  quiet: readonly Task[];
  crowd: readonly Subscription[];
  few: readonly Subscription[];
}

async function measureOnce(
  { releases }: Stage,
  service: Service,
  { popular, quiet, crowd, few }: Watched,
  { perSocket, seconds }: { perSocket: number; seconds: number },
) {
  const api = await service.startApi();
  const raw = startChild<RawServerCommands>({ script: `${FOLDER}/raw-server.ts` });
  const audience = startChild<AudienceCommands>({ script: `${FOLDER}/audience.ts` });
  for (const child of [raw, audience]) releases.push('a process', child.stop);

  const url = api.url;
  const onCrowd = onSockets(crowd, perSocket);
  const onFew = onSockets(few, perSocket);
  const open = async (group: string, sockets: Subscription[][], greetings: number) =>
    audience.ask('openTiming', { group, url, sockets, greetings });
  // What is compiled and allocated for the first of all is not what one more costs.
  await open('first', onCrowd.slice(0, 50), Math.min(50 * perSocket, crowd.length));
  await audience.ask('close', { group: 'first' });
  const own = await growth(api, async () => {
    await open('crowd', onCrowd, crowd.length);
    await open('few', onFew, few.length);
  });
  const sockets = onCrowd.length + onFew.length;
  const bare = await bareGrowth(raw, audience, sockets);

  const everything = watchTasks({}, await service.lastCursor());
  await open('filter', onSockets(new Array(FILTERS).fill(everything), 1), 0);
  // The first change of a task that is older than its watchers is read; all that follow are as they are announced.
  const all = [popular, ...quiet];
  await changeSteadily(service, {
    perSecond: CHANGES_PER_SECOND,
    seconds: Math.ceil(all.length / CHANGES_PER_SECOND),
    tasks: all,
    pick: (count) => all[count % all.length] ?? popular,
  });
  await pause(SETTLED_MS);
  const before = new Map(await api.ask('statements'));
  const cpuBefore = await api.ask('cpuMs');
  const startedAt = performance.now();
  const committedAt = await changeSteadily(service, {
    perSecond: CHANGES_PER_SECOND,
    seconds,
    tasks: all,
    // Of all others, each in turn.
    pick: (count) =>
      count % CROWD_EVERY === 0 ? popular : (quiet[count % quiet.length] ?? popular),
  });
  const lasted = (performance.now() - startedAt) / 1_000;
  const after = await api.ask('statements');
  const cpuShare = ((await api.ask('cpuMs')) - cpuBefore) / lasted / 1_000;
  await pause(SETTLED_MS);
  const latencies = await Promise.all(
    ['crowd', 'few', 'filter'].map(async (group) => ({
      group,
      ...latenciesOf(committedAt, await audience.ask('times', { group })),
    })),
  );
  for (const child of [audience, raw, api]) await child.stop();

  const subscribers = crowd.length + few.length;
  const perSubscriber = (bytes: number) => Math.round(bytes / subscribers);
  return {
    perSocket,
    sockets,
    idle: {
      heapPerSubscriber: perSubscriber(own.heap),
      rssPerSubscriber: perSubscriber(own.rss),
      bareHeapPerSocket: Math.round(bare.heap / sockets),
      bareRssPerSocket: Math.round(bare.rss / sockets),
      heapAboveBare: perSubscriber(own.heap - bare.heap),
      rssAboveBare: perSubscriber(own.rss - bare.rss),
    },
    changesPerSecond: committedAt.size / lasted,
    latencies,
    cpuShare,
    statementsPerSecond: Object.fromEntries(
      [...countSince(before, after)].map(([name, count]) => [name, count / lasted]),
    ),
  };
}

async function growth(process: Pick<Api, 'ask'>, act: () => Promise<void>) {
  await pause(SETTLED_MS);
  const before = await process.ask('memory');
  await act();
  await pause(SETTLED_MS);
  const { heap, rss } = await process.ask('memory');
  return { heap: heap - before.heap, rss: rss - before.rss };
}

async function bareGrowth(
  raw: Child<RawServerCommands>,
  audience: Child<AudienceCommands>,
  count: number,
) {
  const url = await raw.ask('url');
  const open = (group: string, count: number) =>
    audience.ask('openCounting', { group, url, sockets: new Array(count).fill([]), greetings: 0 });
  await open('first bare', 50);
  await audience.ask('close', { group: 'first bare' });
  const grown = await growth(raw, () => open('bare', count));
  await audience.ask('close', { group: 'bare' });
  return grown;
}

function latenciesOf(
  committedAt: ReadonlyMap<string, number>,
  times: ReadonlyMap<string, readonly number[]>,
) {
  const all: number[] = [];
  for (const [key, at] of committedAt) {
    for (const time of times.get(key) ?? []) all.push(time - at);
  }
  return {
    messages: all.length,
    p50: quantile(all, 0.5),
    p99: quantile(all, 0.99),
    most: quantile(all, 1),
  };
}

type Result = Awaited<ReturnType<typeof measureOnce>>;

function toRows(results: readonly Result[]): Row[] {
  const row = (name: string, cell: (result: Result) => string): Row => [name, ...results.map(cell)];
  const names = new Set(results.flatMap((result) => Object.keys(result.statementsPerSecond)));
  const groups = results[0]?.latencies ?? [];
  return [
    row('subscriptions on a socket', ({ perSocket }) => String(perSocket)),
    row('sockets', ({ sockets }) => String(sockets)),
    row('heap, idle subscriber', ({ idle }) => kib(idle.heapPerSubscriber)),
    row('heap, bare ws socket', ({ idle }) => kib(idle.bareHeapPerSocket)),
    row('heap, subscriber above bare ws', ({ idle }) => kib(idle.heapAboveBare)),
    row('RSS, idle subscriber', ({ idle }) => kib(idle.rssPerSubscriber)),
    row('RSS, bare ws socket', ({ idle }) => kib(idle.bareRssPerSocket)),
    row('RSS, subscriber above bare ws', ({ idle }) => kib(idle.rssAboveBare)),
    row('changes/s', ({ changesPerSecond }) => changesPerSecond.toFixed(0)),
    ...groups.map(({ group }, i) =>
      row(`commit to client, ${group}, p50 / p99 / most`, ({ latencies }) =>
        [latencies[i]?.p50, latencies[i]?.p99, latencies[i]?.most]
          .map((ms) => ms?.toFixed(1))
          .join(' / '),
      ),
    ),
    ...groups.map(({ group }, i) =>
      row(`messages, ${group}`, ({ latencies }) => String(latencies[i]?.messages)),
    ),
    row('share of a core, API', ({ cpuShare }) => cpuShare.toFixed(2)),
    ...[...names].map((name) =>
      row(`statements/s, ${name}`, ({ statementsPerSecond }) =>
        (statementsPerSecond[name] ?? 0).toFixed(2),
      ),
    ),
  ];
}

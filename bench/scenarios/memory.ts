import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, onSite, present } from '../bench.ts';
import type { Site } from '../contender.ts';
import { deployThisService, POST, thisServiceOverRest } from '../contenders/this-service.ts';
import { residentBytes } from '../process-usage.ts';
import { type Figures, holdRounds } from '../rounds.ts';
import type { AudienceCommands } from '../streams/audience.ts';
import { type Child, FOLDER, startChild } from '../streams/child.ts';
import { watchTask } from '../streams/documents.ts';
import { type Findings, kib, mib } from '../streams/figures.ts';
import type { StockServerCommands } from '../streams/stock-server.ts';

const FEW = 1_000;
const MANY = 10_000;
const SETTLED_MS = 10_000;
const PROBE = ['--import', join(import.meta.dirname, '../streams/probe.ts')];

/** What the processes take of the machine's memory while nothing happens: alone, and with many who watch. */
export async function measureMemory(bench: Bench): Promise<Findings> {
  const [own] = present(bench, [thisServiceOverRest]);
  if (own === undefined) return { rows: [], figures: {} };
  const results = await holdRounds(bench, [
    { name: 'this service', measure: () => onSite(bench, 'throughput', weighThisService) },
    { name: 'stock Yoga and graphql-ws', measure: () => onSite(bench, 'throughput', weighStock) },
  ]);
  const bytes = (value: number | undefined) => (value === undefined ? '' : mib(value));
  return {
    rows: [
      ['RSS', 'worker', 'api', '1,000 watch', '10,000 watch', 'heap each', 'RSS each'],
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        bytes(median.workerBytes),
        bytes(median.idleBytes),
        bytes(median.fewBytes),
        bytes(median.manyBytes),
        kib(median.heapBytesEach ?? NaN),
        kib(median.bytesEach ?? NaN),
      ]),
    ],
    figures: { results },
  };
}

async function weighThisService(site: Site): Promise<Figures> {
  const deployment = await deployThisService(site, POST.rest);
  const worker = await deployment.startWorker();
  const api = await deployment.startApi({ execArgv: PROBE });
  await pause(SETTLED_MS);
  const workerBytes = await residentBytes(worker.pid);
  await worker.stop();
  // One that does not end by itself, or there would be nothing to watch.
  const id = await deployment.createLater(api.url);
  return { workerBytes, ...(await weighSubscribers(site, api, `${api.url}/graphql`, id, MANY)) };
}

/** Another size than a service's own: it has no database, no broker and one type. What each subscriber adds compares. */
async function weighStock(site: Site): Promise<Figures> {
  const stock = startChild<StockServerCommands>({ script: `${FOLDER}/stock-server.ts` });
  site.releases.push('the server', stock.stop);
  const url = `${await stock.ask('url')}/graphql`;
  await pause(SETTLED_MS);
  return weighSubscribers(site, stock, url, 'a task', 0);
}

/** @param greetings whether each subscriber is told the present state at once: then so many as there are, else none */
async function weighSubscribers(
  { releases }: Site,
  server: Pick<Child<Record<never, never>>, 'ask' | 'pid'>,
  url: string,
  id: string,
  greetings: number,
): Promise<Figures> {
  const audience = startChild<AudienceCommands>({ script: `${FOLDER}/audience.ts` });
  releases.push('the audience', audience.stop);
  const open = async (group: string, count: number) => {
    const sockets = new Array(count).fill([watchTask(id)]);
    const opening = { group, url, sockets, greetings: Math.min(greetings, count) };
    await audience.ask('openCounting', opening);
    await pause(SETTLED_MS);
    return residentBytes(server.pid);
  };

  const idleBytes = await residentBytes(server.pid);
  const fewBytes = await open('few', FEW);
  // What is compiled and allocated for the first is not what one more costs.
  const { heap } = await server.ask('memory');
  const rss = await residentBytes(server.pid);
  const manyBytes = await open('many', MANY - FEW);
  const grown = await server.ask('memory');
  return {
    idleBytes,
    fewBytes,
    manyBytes,
    heapBytesEach: (grown.heap - heap) / (MANY - FEW),
    bytesEach: (manyBytes - rss) / (MANY - FEW),
  };
}

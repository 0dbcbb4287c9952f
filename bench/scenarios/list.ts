import { type Bench, onSite, present } from '../bench.ts';
import type { Site } from '../contender.ts';
import { deployThisService, POST, thisServiceOverRest } from '../contenders/this-service.ts';
import { EVERY_MS, fillTasks } from '../fill-tasks.ts';
import { encodeGet, encodePost, type LightClient, openLightClient } from '../load/light-client.ts';
import { type Figures, holdRounds } from '../rounds.ts';
import { type Findings, quantile, whole } from '../streams/figures.ts';

const ROWS = 10_000_000;
const TIMES = 100;
const PAGE = 20;
const DEEP_PAGE = 10_000;
const REST_LISTS = 5_000;
const CONNECTIONS = 20;

/** Filters of `tasks`, by what they ask for. Times are the shares of the table's age. */
const FILTERS: Readonly<Record<string, object>> = {
  nothing: {},
  'a common status': { status: ['COMPLETED'] },
  'a rare status': { status: ['IN_PROGRESS'] },
  'several statuses': { status: ['NEW', 'PENDING'] },
  'a priority': { priority: ['HIGH'] },
  'a type': { type: ['mail'] },
  'a type that nobody has': { type: ['nobody'] },
  'status and priority': { status: ['FAILED'], priority: ['LOW'] },
  'status and type': { status: ['FAILED'], type: ['mail'] },
  'status, priority and type': { status: ['CANCELLED'], priority: ['LOW'], type: ['sync'] },
  'created lately': { createdAfter: atShare(0.99) },
  'created long ago': { createdBefore: atShare(0.05) },
  'created in a stretch': { createdAfter: atShare(0.5), createdBefore: atShare(0.501) },
  'created before, a status': { createdBefore: atShare(0.3), status: ['CANCELLED'] },
  'created before, priority and type': {
    createdBefore: atShare(0.3),
    priority: ['LOW'],
    type: ['sync'],
  },
  'text that many have': { search: 'mail' },
  'text that some have': { search: 'customer 777' },
  'text that one has': { search: 'number 1234567' },
};

/** The list of a table of ten million tasks: its first page by every kind of filter, and one far down by its cursor. */
export async function measureList(bench: Bench): Promise<Findings> {
  const rows = bench.tasks ?? ROWS;
  const [own] = present(bench, [thisServiceOverRest]);
  if (own === undefined) return { rows: [], figures: {} };
  return onSite(bench, 'latency', async (site) => {
    const { client, url, deepCursor } = await openLargeTable(site, rows);
    const results = await holdRounds(bench, [
      ...Object.entries(FILTERS).map(([name, filter]) => ({
        name,
        measure: () => measurePages(client, url, { filter: toFilter(filter, rows) }),
      })),
      {
        name: `page ${whole(DEEP_PAGE)}`,
        measure: () => measurePages(client, url, { filter: {}, after: deepCursor }),
      },
    ]);
    client.close();
    const restPerSecond = await countRestLists(url);
    return {
      rows: [
        ['first page by', 'p50 ms', 'p95 ms', 'p95 ms with totalCount'],
        ...results.map(({ name, median }): [string, ...string[]] => [
          name,
          (median.p50Ms ?? NaN).toFixed(1),
          (median.p95Ms ?? NaN).toFixed(1),
          (median.p95CountedMs ?? NaN).toFixed(1),
        ]),
        ['REST, lists a second', whole(restPerSecond)],
      ],
      figures: { rows, results, restPerSecond },
    };
  });
}

async function openLargeTable(site: Site, rows: number) {
  const deployment = await deployThisService(site, POST.rest);
  await fillTasks(deployment.sql, rows, { open: true });
  const { url } = await deployment.startApi();
  const client = await openLightClient(url);
  const { rows: found } = await deployment.sql.query<{ id: string }>(
    'select id from tasks order by id desc offset $1 limit 1',
    [DEEP_PAGE * PAGE],
  );
  // The cursor of a page is that of its last task: asked for where it is, rather than walked to.
  const [{ id } = { id: '' }] = found;
  const [edge] = await askPage(client, url, { filter: { ids: [id] } });
  return { client, url, deepCursor: edge?.cursor };
}

/** `GET /api/v1/tasks/`: ten tasks and their total number, from many connections. @returns answers a second */
async function countRestLists(url: string): Promise<number> {
  const request = encodeGet(url, '/api/v1/tasks/?limit=10');
  let left = REST_LISTS;

  async function ask() {
    const client = await openLightClient(url);
    while (left > 0) {
      left -= 1;
      await client.send(request);
    }
    client.close();
  }

  const tookMs = await timed(() => Promise.all(Array.from({ length: CONNECTIONS }, ask)));
  return REST_LISTS / (tookMs / 1_000);
}

interface Question {
  filter: object;
  after?: string | undefined;
}

async function measurePages(
  client: LightClient,
  url: string,
  question: Question,
): Promise<Figures> {
  const plain: number[] = [];
  const counted: number[] = [];
  for (let time = 0; time < TIMES; time += 1) {
    plain.push(await timed(() => askPage(client, url, question)));
    counted.push(await timed(() => askPage(client, url, question, 'totalCount')));
  }
  return {
    p50Ms: quantile(plain, 0.5),
    p95Ms: quantile(plain, 0.95),
    p95CountedMs: quantile(counted, 0.95),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function askPage(client: LightClient, url: string, variables: Question, more = '') {
  const query = `query ($filter: TaskFilter, $after: String) {
    tasks(filter: $filter, first: ${PAGE}, after: $after) {
      edges { cursor node { id title status priority type createdAt } } ${more}
    }
  }`;
  const body = JSON.stringify({ query, variables });
  const text = await client.send(encodePost({ url, path: '/graphql', body, status: 200 }));
  const answer: { data?: { tasks: { edges: { cursor: string }[] } } } = JSON.parse(text);
  if (!answer.data) throw new Error(`The list answered: ${text.slice(0, 500)}`);
  return answer.data.tasks.edges;
}

/** A moment of the table's life, which `toFilter` knows when it knows how long that is. */
function atShare(share: number): { share: number } {
  return { share };
}

function toFilter(filter: object, rows: number): object {
  return Object.fromEntries(
    Object.entries(filter).map(([key, value]) => {
      if (typeof value !== 'object' || value === null || !('share' in value)) return [key, value];
      const agoMs = (1 - Number(value.share)) * rows * EVERY_MS;
      return [key, new Date(Date.now() - agoMs)];
    }),
  );
}

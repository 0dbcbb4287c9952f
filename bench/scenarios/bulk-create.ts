import { connect } from 'amqplib';
import { type Bench, onSite, present } from '../bench.ts';
import type { Site } from '../contender.ts';
import { deployThisService, POST, thisServiceOverGraphql } from '../contenders/this-service.ts';
import { type Figures, holdRounds, ratios } from '../rounds.ts';
import { urlOf } from '../servers.ts';
import { type Findings, whole } from '../streams/figures.ts';
import { untilPublished } from '../until-published.ts';

const TASKS = 50_000;
const IN_FLIGHT = 4;
const WINDOW = 1_000;

/**
 * Tasks that are stored and handed to RabbitMQ, beside messages of the same size that are only handed to RabbitMQ:
 * both are confirmed by a quorum queue.
 */
export async function measureBulkCreate(bench: Bench): Promise<Findings> {
  const [own] = present(bench, [thisServiceOverGraphql]);
  if (own === undefined) return { rows: [], figures: {} };
  const tasks = bench.tasks ?? TASKS;
  const results = await holdRounds(bench, [
    {
      name: 'this service, createTasks',
      measure: () => onSite(bench, 'throughput', (site) => createAll(site, tasks)),
    },
    {
      name: 'RabbitMQ, confirmed publish',
      measure: () => onSite(bench, 'throughput', (site) => publishAll(site, tasks)),
    },
  ]);
  const byRate = ratios(results, 'perSecond');
  return {
    rows: [
      ['', 'per second', 'this service to it'],
      ...results.map(({ name, median }): [string, ...string[]] => [
        name,
        whole(median.perSecond ?? NaN),
        byRate[name]?.toFixed(2) ?? '',
      ]),
    ],
    figures: { tasks, results, ratios: { perSecond: byRate } },
  };
}

async function createAll(site: Site, tasks: number): Promise<Figures> {
  const deployment = await deployThisService(site, POST.graphql);
  const { url } = await deployment.startApi();
  // What compiles at first, as in the other scenarios.
  await deployment.createInBulk(url, WARM_UP, IN_FLIGHT);
  const startedAt = performance.now();
  await deployment.createInBulk(url, tasks, IN_FLIGHT);
  return { perSecond: (tasks / (performance.now() - startedAt)) * 1_000 };
}

const WARM_UP = 5_000;

async function publishAll({ servers, name, releases }: Site, messages: number): Promise<Figures> {
  const connection = await connect(urlOf(servers, 'RabbitMQ'));
  releases.push('the connection', () => connection.close());
  const channel = await connection.createConfirmChannel();
  const queue = `${name}.publish`;
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  releases.push('the queue', async () => void (await channel.deleteQueue(queue)));
  const body = Buffer.from(JSON.stringify({ id: crypto.randomUUID(), priority: 'MEDIUM' }));
  const publish = (confirmed: (error?: unknown) => void) =>
    channel.sendToQueue(queue, body, { persistent: true }, confirmed);
  await untilPublished(publish, WARM_UP, WINDOW);
  const startedAt = performance.now();
  await untilPublished(publish, messages, WINDOW);
  return { perSecond: (messages / (performance.now() - startedAt)) * 1_000 };
}

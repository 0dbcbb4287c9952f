import { cursorOf, type StreamedChange } from '../../src/tasks/cursor.ts';
import type { AudienceCommands } from './audience.ts';
import { FOLDER, startChild } from './child.ts';
import { type Contender, holdContest } from './contest.ts';
import { watchTask } from './documents.ts';
import type { Findings } from './figures.ts';
import type { RawServerCommands } from './raw-server.ts';
import { openService, type Stage } from './service.ts';
import type { StockServerCommands } from './stock-server.ts';
import { successors } from './successors.ts';

/**
 * One task, many subscribers, a burst of its changes: how many messages the clients get in a second, from the first to
 * the last, beside servers that do less. All are sent the same bytes, in turns.
 */
export async function measureFanOut(
  stage: Stage,
  options: { subscribers: number; events: number; rounds: number },
): Promise<Findings> {
  const { subscribers, events, rounds } = options;
  const { releases } = stage;
  const service = await openService(stage);
  const api = await service.startApi();
  const audience = startChild<AudienceCommands>({ script: `${FOLDER}/audience.ts` });
  const raw = startChild<RawServerCommands>({ script: `${FOLDER}/raw-server.ts` });
  const stock = startChild<StockServerCommands>({ script: `${FOLDER}/stock-server.ts` });
  for (const child of [audience, raw, stock]) releases.push('a server', child.stop);

  const [task] = await service.createTasks(1);
  if (task === undefined) throw new Error('There is no task.');
  let latest = await service.latestChange(task.id);
  const sockets = new Array(subscribers).fill([watchTask(task.id)]);
  const bare = new Array(subscribers).fill([]);
  const opening = { group: 'api', url: api.url, sockets, greetings: subscribers };
  await audience.ask('openCounting', opening);
  const texts = successors(latest, events).map(textOf);
  await audience.ask('openCounting', {
    group: 'raw',
    url: await raw.ask('url'),
    sockets: bare,
    greetings: 0,
  });
  const stockUrl = `${await stock.ask('url')}/graphql`;
  await audience.ask('openCounting', { group: 'stock', url: stockUrl, sockets, greetings: 0 });
  while ((await stock.ask('subscribers')) < subscribers) await new Promise(setImmediate);

  const contenders: Contender[] = [
    {
      name: 'this service',
      group: 'api',
      server: api,
      async send() {
        const changes = successors(latest, events);
        latest = changes.at(-1) ?? latest;
        service.broker.publishEvents(changes);
      },
    },
    {
      name: 'ws, send() each',
      group: 'raw',
      server: raw,
      send: () => raw.ask('broadcastTexts', { texts }),
    },
    {
      name: 'ws, one frame for all',
      group: 'raw',
      server: raw,
      send: () => raw.ask('broadcastFrames', { texts }),
    },
    {
      name: 'stock Yoga and graphql-ws',
      group: 'stock',
      server: stock,
      send: () =>
        stock.ask('publish', { id: task.id, events: successors(latest, events).map(toEvent) }),
    },
  ];

  return holdContest(contenders, { audience, rounds, count: subscribers * events });
}

function textOf(change: StreamedChange): string {
  return JSON.stringify({
    id: '0',
    type: 'next',
    payload: { data: { taskStatusChanged: toEvent(change) } },
  });
}

/** As the documents ask for it. */
function toEvent(change: StreamedChange) {
  const { taskId, version, status, previousStatus, attempt, at, reason } = change.event;
  const cursor = cursorOf(change);
  return { cursor, taskId, version, status, previousStatus, attempt, at: at.toISOString(), reason };
}

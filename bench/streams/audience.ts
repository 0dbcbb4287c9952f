/** The process of all clients, the same for every server: whatever a client costs, it costs each of them. */
import { serveCommands } from './commands.ts';
import { createCounter, createStopwatch, createTally, type Ear } from './ears.ts';
import { type LightSocket, openLightSocket } from './light-socket.ts';

export interface Subscription {
  query: string;
  variables: Record<string, unknown>;
}

export type AudienceCommands = typeof commands;

const counters = new Map<string, ReturnType<typeof createCounter>>();
const stopwatches = new Map<string, ReturnType<typeof createStopwatch>>();
const tallies = new Map<string, ReturnType<typeof createTally>>();
const sockets = new Map<string, LightSocket[]>();

interface Opening {
  group: string;
  /** Where the sockets connect to. */
  url: string;
  /** What each socket subscribes to; one that subscribes to nothing speaks no protocol. */
  sockets: readonly (readonly Subscription[])[];
  /** How many messages come at once, such as the present state for each. */
  greetings: number;
}

const commands = {
  /** Sockets that count. */
  async openCounting(opening: Opening) {
    counters.set(opening.group, createCounter());
    await open(opening, get(counters, opening.group));
  },
  expect({ group, count }: { group: string; count: number }) {
    get(counters, group).expect(count);
  },
  arrived: ({ group }: { group: string }) => get(counters, group).arrived(),

  /** Sockets that keep the time. */
  async openTiming(opening: Opening) {
    stopwatches.set(opening.group, createStopwatch());
    await open(opening, get(stopwatches, opening.group));
  },
  times: ({ group }: { group: string }) => get(stopwatches, group).times,

  /** Sockets that check the order; `versions` are those that were seen before. */
  async openTallying({ versions, ...opening }: Opening & { versions: Map<string, number> }) {
    tallies.set(opening.group, createTally(versions));
    await open(opening, get(tallies, opening.group));
  },
  tally: ({ group }: { group: string }) => ({
    ...get(tallies, group).state,
    isClosed: get(sockets, group).every(({ isClosed }) => isClosed),
  }),

  pause({ group }: { group: string }) {
    for (const socket of get(sockets, group)) socket.pause();
  },
  resume({ group }: { group: string }) {
    for (const socket of get(sockets, group)) socket.resume();
  },
  close({ group }: { group: string }) {
    for (const socket of get(sockets, group)) socket.close();
  },
};

serveCommands(commands);

/** How many sockets are opened at a time. */
const AT_A_TIME = 50;

async function open(
  { group, url, greetings, sockets: wanted }: Opening,
  { hear }: Ear,
): Promise<void> {
  const left = [...wanted];
  const opened: LightSocket[] = [];
  const greeted = Promise.withResolvers<void>();
  let missing = greetings;
  if (missing === 0) greeted.resolve();

  function onResult(bytes: Buffer, start: number, end: number) {
    hear(bytes, start, end);
    if (missing === 0) return;
    missing -= 1;
    if (missing === 0) greeted.resolve();
  }

  async function openNext() {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      opened.push(
        next.length === 0
          ? await openLightSocket({ url, onText: onResult })
          : await openSubscriber(url, next, onResult),
      );
    }
  }

  sockets.set(group, opened);
  await Promise.all(Array.from({ length: AT_A_TIME }, openNext));
  await greeted.promise;
}

/** Speaks `graphql-transport-ws`, as far as a subscriber has to. */
async function openSubscriber(
  url: string,
  subscriptions: readonly Subscription[],
  onResult: Ear['hear'],
): Promise<LightSocket> {
  const acknowledged = Promise.withResolvers<void>();
  let isAcknowledged = false;
  const socket = await openLightSocket({
    url,
    protocol: 'graphql-transport-ws',
    onText(bytes, start, end) {
      if (isAcknowledged) return onResult(bytes, start, end);
      isAcknowledged = true;
      acknowledged.resolve();
    },
  });
  socket.send('{"type":"connection_init"}');
  await acknowledged.promise;
  for (const [id, payload] of subscriptions.entries()) {
    socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload }));
  }
  return socket;
}

function get<T>(map: ReadonlyMap<string, T>, group: string): T {
  const found = map.get(group);
  if (found === undefined) throw new Error(`There is no group ${group}.`);
  return found;
}

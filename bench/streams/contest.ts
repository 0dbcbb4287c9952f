import type { AudienceCommands } from './audience.ts';
import type { Child } from './child.ts';
import { type Findings, median, type Row, whole } from './figures.ts';

/** A server, and how it is made to send so many messages to a group of sockets. */
export interface Contender {
  name: string;
  group: string;
  server: Pick<Child<Record<never, never>>, 'ask'>;
  send(): Promise<unknown>;
}

/** Makes them send in turns, round by round, and compares the first with each. */
export async function holdContest(
  contenders: readonly Contender[],
  options: {
    audience: Child<AudienceCommands>;
    rounds: number;
    /** How many messages the clients get each time. */
    count: number;
  },
): Promise<Findings> {
  const { audience, rounds, count } = options;

  async function burst({ group, server, send }: Contender): Promise<Burst> {
    await audience.ask('expect', { group, count });
    const before = [await server.ask('cpuMs'), await audience.ask('cpuMs')] as const;
    const arrived = audience.ask('arrived', { group });
    await Promise.all([send(), arrived]);
    const { firstAt, lastAt } = await arrived;
    return {
      perSecond: (count / (lastAt - firstAt)) * 1_000,
      cpuUs: (((await server.ask('cpuMs')) - before[0]) / count) * 1_000,
      clientCpuUs: (((await audience.ask('cpuMs')) - before[1]) / count) * 1_000,
    };
  }

  // The first of each warms up.
  for (const contender of contenders) await burst(contender);
  const bursts = new Map(contenders.map(({ name }) => [name, [] as Burst[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of contenders) {
      bursts.get(contender.name)?.push(await burst(contender));
    }
  }
  return compare(bursts);
}

interface Burst {
  /** From the first to the last, as the clients got them. */
  perSecond: number;
  /** Of the server's processor time for each message, in microseconds: steady even on a busy machine. */
  cpuUs: number;
  /** The same of the clients: were it more, the clients would be what is measured. */
  clientCpuUs: number;
}

function compare(bursts: ReadonlyMap<string, Burst[]>): Findings {
  const [own = []] = bursts.values();
  const results = [...bursts].map(([name, all]) => ({
    name,
    median: {
      perSecond: median(all.map(({ perSecond }) => perSecond)),
      cpuUsPerMessage: median(all.map(({ cpuUs }) => cpuUs)),
      clientCpuUsPerMessage: median(all.map(({ clientCpuUs }) => clientCpuUs)),
    },
    // Round by round, so that what else the machine does weighs on both.
    ratio: median(own.map(({ perSecond }, i) => perSecond / (all[i]?.perSecond ?? Number.NaN))),
    cpuRatio: median(all.map(({ cpuUs }, i) => cpuUs / (own[i]?.cpuUs ?? Number.NaN))),
    rounds: all,
  }));
  const rows: Row[] = [
    ['', 'messages/s', 'first to it', 'by CPU', 'CPU µs/message', 'of the clients'],
    ...results.map(
      ({ name, median, ratio, cpuRatio }): Row => [
        name,
        whole(median.perSecond),
        ratio.toFixed(2),
        cpuRatio.toFixed(2),
        median.cpuUsPerMessage.toFixed(2),
        median.clientCpuUsPerMessage.toFixed(2),
      ],
    ),
  ];
  return { rows, figures: { results } };
}

import { type Channel, connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import { type RabbitNames, rabbitNames } from '../../../src/broker/rabbit-names.ts';
import type { Sql, Statement } from '../../../src/store/sql.ts';
import type { Ledger } from '../../support/ledger.ts';
import { request } from '../../support/rest-calls.ts';
import { type Stage, setStage } from '../../support/stage.ts';
import { createMember, type Member } from './member.ts';
import { until } from './until.ts';

/** The service under test, and all that can be done to it. Lives on from run to run: starting it takes seconds. */
export interface World {
  readonly apis: readonly Member[];
  readonly workers: readonly Member[];
  readonly ledger: Ledger;
  /** Its database as the code of the store sees it, on connections that are not the service's. */
  readonly store: Sql;
  readonly names: RabbitNames;
  /** Does something on a channel of its own. What is not there to be broken is no error. */
  onRabbit(act: (channel: Channel) => Promise<unknown>): Promise<void>;
  /** Lets a fault last while the next commands run. It is to end early when the signal fires. */
  inBackground(fault: (over: AbortSignal) => Promise<void>): void;
  /** Ends all faults. Resolves when every process works and takes tasks; what does not in time is an offence. */
  heal(): Promise<void>;
  /** What the processes did that nothing excuses. */
  readonly offences: string[];
  /** Since all was last whole. */
  readonly since: {
    /** When that was. */
    ms: number;
    /** A fault was done to something. */
    harmed: boolean;
    /** Messages were taken away. */
    robbed: boolean;
  };
  /** Processes whose runs others may take over: they were killed or stopped, or cut off from the database. */
  readonly cutOff: Set<number>;
  /** Processes that were told to stop. */
  readonly drained: Set<number>;
  /** What was published that is no message. */
  readonly malformed: Set<string>;
  /** Since it was opened. */
  seconds(): string;
}

export async function openWorld(): Promise<World> {
  const stage = await setStage();
  const rabbit = new URL(stage.env.RABBITMQ_URL);
  const names = rabbitNames(rabbit.searchParams.get('namespace') ?? undefined);
  const connection = await connect(stage.env.RABBITMQ_URL);
  connection.on('error', () => {});
  onTestFinished(() => connection.close());
  const offences: string[] = [];
  const members = await openMembers(stage, offences);
  await Promise.all(members.map((member) => member.start()));
  const apis = members.filter(({ isWorker }) => !isWorker);
  const workers = members.filter(({ isWorker }) => isWorker);
  const since = { ms: Date.now(), harmed: false, robbed: false };
  const openedAt = performance.now();
  const underWay = new Set<Promise<void>>();
  let over = new AbortController();

  async function onRabbit(act: (channel: Channel) => Promise<unknown>): Promise<void> {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    // A failure closes the channel; closing it again would fail as well.
    await act(channel).then(
      () => channel.close(),
      () => {},
    );
  }

  return {
    apis,
    workers,
    ledger: stage.ledger,
    store: {
      async run<Row extends object>(statement: Statement, values: readonly unknown[] = []) {
        const { rows } = await stage.ledger.sql.query<Row>({ ...statement, values: [...values] });
        return rows;
      },
    },
    names,
    onRabbit,
    inBackground(fault) {
      since.harmed = true;
      const running = fault(over.signal)
        .catch((error: unknown) => void offences.push(`a fault failed: ${String(error)}`))
        .finally(() => underWay.delete(running));
      underWay.add(running);
    },
    async heal() {
      over.abort();
      await Promise.all(underWay);
      over = new AbortController();
      await stage.untilTaken(workers.length).catch((error: unknown) => {
        offences.push(`the workers do not take tasks again: ${String(error)}`);
      });
      const areWell = () => Promise.all(apis.map(isWell)).then((all) => all.every(Boolean));
      if (await until(WELL_WITHIN_MS, areWell)) return;
      offences.push(`an API does not see its servers ${WELL_WITHIN_MS} ms after they are back`);
    },
    offences,
    since,
    cutOff: new Set(),
    drained: new Set(),
    malformed: new Set(),
    seconds: () => `${((performance.now() - openedAt) / 1_000).toFixed(2)} s`,
  };
}

/** An API or a worker, by its number. */
export type Whom = readonly ['apis' | 'workers', number];

export function memberAt(world: World, [kind, number]: Whom): Member {
  const member = world[kind][number];
  if (member === undefined) throw new Error(`There are only ${world[kind].length} ${kind}.`);
  return member;
}

const WELL_WITHIN_MS = 10_000;

async function isWell({ url }: Member): Promise<boolean> {
  const answer = await request(url, 'GET', '/health').catch(() => undefined);
  return answer?.body.status === true;
}

async function openMembers(stage: Stage, offences: string[]): Promise<Member[]> {
  const members: Member[] = [];
  for (const name of ['api 1', 'api 2', 'worker 1', 'worker 2']) {
    const env = {
      WORKER_CONCURRENCY: 'HIGH=3,MEDIUM=3,LOW=3',
      // Who is told to stop gives back what it runs: with more time there would hardly be anything left to give.
      SHUTDOWN_GRACE_SECONDS: '0',
    };
    const onOffence = (what: string) => void offences.push(what);
    members.push(await createMember({ name, stage, env, onOffence }));
  }
  return members;
}

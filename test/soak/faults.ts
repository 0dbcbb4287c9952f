import type { Member } from './member.ts';
import { pause } from './pause.ts';
import type { Random } from './random.ts';
import type { Space } from './space.ts';

export interface Faults {
  /** How often each kind happened. */
  readonly counts: ReadonlyMap<string, number>;
  /** What could not be broken as planned. */
  readonly failures: readonly string[];
  /** No new ones; resolves when what is broken has been repaired. */
  stop(): Promise<void>;
}

interface Scene {
  members: readonly Member[];
  space: Space;
  random: Random;
  /** Fires when everything is to be repaired at once. */
  over: AbortSignal;
}

/** Lets something random go wrong every so often. One fault need not be over when the next one comes. */
export function startFaults(options: {
  members: readonly Member[];
  space: Space;
  random: Random;
  everyMs: number;
  onFault: (kind: string) => void;
}): Faults {
  const { members, space, random, everyMs, onFault } = options;
  const over = new AbortController();
  const scene: Scene = { members, space, random, over: over.signal };
  const kinds = Object.entries(KINDS).filter(
    ([kind]) => kind !== 'RabbitMQ closes connections' || space.closeRabbitConnections,
  );
  const counts = new Map<string, number>();
  const failures: string[] = [];
  const underWay = new Set<Promise<void>>();

  const timer = setInterval(() => {
    const [kind, happen] = random.pick(kinds) ?? [];
    if (kind === undefined || happen === undefined) return;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    onFault(kind);
    const fault = happen(scene);
    underWay.add(fault);
    void fault
      .catch((error: unknown) => failures.push(`${kind}: ${String(error)}`))
      .finally(() => underWay.delete(fault));
  }, everyMs);

  return {
    counts,
    failures,
    async stop() {
      clearInterval(timer);
      over.abort();
      await Promise.allSettled(underWay);
    },
  };
}

const KINDS: Record<string, (scene: Scene) => Promise<void>> = {
  'kill -9': (scene) =>
    toOne(scene, async (member) => {
      await member.crash();
      await pause(scene.random.whole(0, 2_000), scene.over);
      member.start();
    }),
  SIGTERM: (scene) =>
    toOne(scene, async (member) => {
      await member.drain();
      member.start();
    }),
  SIGSTOP: (scene) =>
    toOne(scene, async (member) => {
      member.signal('SIGSTOP');
      await pause(scene.random.whole(1_000, 20_000), scene.over);
      member.signal('SIGCONT');
    }),
  'PostgreSQL cut': (scene) => toLinks(scene, 'postgres', 'CUT'),
  'PostgreSQL refuses': (scene) => toLinks(scene, 'postgres', 'REFUSE'),
  'PostgreSQL silent': (scene) => toLinks(scene, 'postgres', 'STALL'),
  'RabbitMQ cut': (scene) => toLinks(scene, 'rabbit', 'CUT'),
  'RabbitMQ refuses': (scene) => toLinks(scene, 'rabbit', 'REFUSE'),
  'RabbitMQ silent': (scene) => toLinks(scene, 'rabbit', 'STALL'),
  async 'PostgreSQL ends sessions'({ space, random }) {
    await space.sql.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name <> 'soak' and random() < $1`,
      [random.chance(0.3) ? 1 : 0.4],
    );
  },
  async 'RabbitMQ closes connections'({ space }) {
    await space.closeRabbitConnections?.();
  },
  async 'queue purged'({ space, random }) {
    const queue = random.pick(Object.values(space.names.taskQueue)) ?? '';
    await space.onRabbit((channel) => channel.purgeQueue(queue));
  },
  async 'queue deleted'({ space, random }) {
    const queue = random.pick(Object.values(space.names.taskQueue)) ?? '';
    await space.onRabbit((channel) => channel.deleteQueue(queue));
  },
};

/** To a process to which nothing else is being done just now. */
async function toOne(
  { members, random }: Scene,
  happen: (member: Member) => Promise<void>,
): Promise<void> {
  const member = random.pick(members.filter(({ busy }) => !busy));
  if (member === undefined) return;
  member.busy = true;
  try {
    await happen(member);
  } finally {
    member.busy = false;
  }
}

/** To the way of one process to a server, or to everybody's. */
async function toLinks(
  { members, random, over }: Scene,
  server: 'postgres' | 'rabbit',
  how: 'CUT' | 'REFUSE' | 'STALL',
): Promise<void> {
  const one = random.pick(members);
  const struck = random.chance(0.5) || one === undefined ? members : [one];
  const links = struck.map((member) => member.links[server]);
  if (how === 'CUT') for (const link of links) link.cut();
  if (how === 'STALL') for (const link of links) link.stall();
  if (how === 'REFUSE') await Promise.all(links.map((link) => link.refuse()));
  if (how !== 'CUT') await pause(random.whole(500, 5_000), over);
  for (const link of links) await link.heal();
}

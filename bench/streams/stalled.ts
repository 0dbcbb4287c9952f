import { setTimeout as pause } from 'node:timers/promises';
import type { Task } from '../../src/domain/task.ts';
import { createAdvance } from '../../src/tasks/advance.ts';
import type { AudienceCommands } from './audience.ts';
import { type Child, FOLDER, startChild } from './child.ts';
import { countSince } from './count-since.ts';
import { watchTask, watchTasks } from './documents.ts';
import type { Tally } from './ears.ts';
import { type Findings, mib, type Row, whole } from './figures.ts';
import { type Api, openService, type Service, type Stage } from './service.ts';
import { swing } from './swing.ts';

const TASKS = 500;
const OTHERS = 3;
const SETTLED_MS = 3_000;
/** How long the clients may take to get the last change. */
const CAUGHT_UP_WITHIN_MS = 300_000;

/**
 * A subscriber of all tasks that stops reading while a great many changes happen: what that does to the memory of the
 * API and to the others, and whether it gets all that it missed once it reads again. First the same without it.
 */
export async function measureStalled(
  stage: Stage,
  { changes }: { changes: number },
): Promise<Findings> {
  const { releases } = stage;
  const service = await openService(stage);
  const api = await service.startApi();
  const audience = startChild<AudienceCommands>({ script: `${FOLDER}/audience.ts` });
  releases.push('the audience', audience.stop);
  let tasks: readonly Task[] = await service.createTasks(TASKS);
  const rounds = Math.ceil(changes / TASKS);

  const everyone = ['each by its id'];
  await audience.ask('openTallying', {
    group: 'each by its id',
    url: api.url,
    sockets: tasks.map(({ id }) => [watchTask(id)]),
    greetings: tasks.length,
    // The present state comes first.
    versions: new Map(tasks.map(({ id, version }) => [id, version - 1])),
  });
  for (let i = 1; i <= OTHERS; i += 1) {
    everyone.push(`all, ${i}`);
    await watchAll(`all, ${i}`, versionsOf(tasks), await service.lastCursor());
  }

  const calm = await pass();
  await watchAll('stalled', versionsOf(tasks), await service.lastCursor());
  // It has begun once it gets something.
  tasks = await changeAll(service, tasks);
  await untilCaughtUp(audience, 'stalled', tasks);
  await audience.ask('pause', { group: 'stalled' });
  const stalled = await pass();

  await audience.ask('resume', { group: 'stalled' });
  const left = await untilEnded(audience, 'stalled');
  const resumedAt = performance.now();
  await watchAll('resumed', left.versions, left.lastCursor ?? '');
  const back = await untilCaughtUp(audience, 'resumed', tasks);
  const resumed = {
    seconds: (performance.now() - resumedAt) / 1_000,
    got: left.count + back.count,
    missed: countMissed(back, tasks),
    wrong: left.wrong + back.wrong,
  };
  return {
    rows: [
      ['', 'nobody stalled', 'one stalled'],
      ...compare(calm, stalled),
      ['stalled one: got before, then told', whole(left.count), left.endedWith ?? 'cut off'],
      ['with what came after it resumed: got', '', whole(resumed.got)],
      ['missed / out of order or twice', '', `${resumed.missed} / ${resumed.wrong}`],
      ['that took', '', `${resumed.seconds.toFixed(1)} s`],
    ],
    figures: {
      changes: rounds * TASKS,
      calm,
      stalled,
      left: { got: left.count, endedWith: left.endedWith, isClosed: left.isClosed },
      resumed,
    },
  };

  async function watchAll(group: string, versions: Map<string, number>, after: string) {
    const sockets = [[watchTasks({}, after)]];
    await audience.ask('openTallying', { group, url: api.url, sockets, greetings: 0, versions });
  }

  async function pass(): Promise<Pass> {
    const before = await api.ask('memory');
    const cpuBefore = await api.ask('cpuMs');
    const statementsBefore = await api.ask('statements');
    const sampling = samplePeak(api);
    const startedAt = performance.now();
    for (let round = 0; round < rounds; round += 1) tasks = await changeAll(service, tasks);
    const changedMs = performance.now() - startedAt;
    const seen = [];
    for (const group of everyone) {
      const tally = await untilCaughtUp(audience, group, tasks);
      const { wrong, endedWith } = tally;
      seen.push({ group, missed: countMissed(tally, tasks), wrong, endedWith });
    }
    const heardMs = performance.now() - startedAt;
    const rssPeak = await sampling.stop();
    // What it has been told of and need not keep goes with the next look at the database.
    await pause(SETTLED_MS);
    return {
      changesPerSecond: (rounds * TASKS * 1_000) / changedMs,
      behindMs: heardMs - changedMs,
      cpuMsPerChange: ((await api.ask('cpuMs')) - cpuBefore) / (rounds * TASKS),
      rssBefore: before.rss,
      rssPeak,
      heapBefore: before.heap,
      heapAfter: (await api.ask('memory')).heap,
      statements: Object.fromEntries(countSince(statementsBefore, await api.ask('statements'))),
      others: seen,
    };
  }
}

/** So many changes, and what they did. */
interface Pass {
  changesPerSecond: number;
  /** How long after the last change the others had all of it. */
  behindMs: number;
  /** Of the API, for all who watch together. */
  cpuMsPerChange: number;
  rssBefore: number;
  rssPeak: number;
  heapBefore: number;
  heapAfter: number;
  /** That the API sent, by name. */
  statements: Record<string, number>;
  others: { group: string; missed: number; wrong: number; endedWith: string | undefined }[];
}

function compare(calm: Pass, stalled: Pass): Row[] {
  const row = (name: string, cell: (pass: Pass) => string): Row => [
    name,
    cell(calm),
    cell(stalled),
  ];
  return [
    row('changes/s', ({ changesPerSecond }) => whole(changesPerSecond)),
    row('others had all of it after', ({ behindMs }) => `${whole(behindMs)} ms`),
    row('CPU of the API, each change', ({ cpuMsPerChange }) => `${cpuMsPerChange.toFixed(3)} ms`),
    row('RSS before', ({ rssBefore }) => mib(rssBefore)),
    row('RSS at most', ({ rssPeak }) => mib(rssPeak)),
    row('RSS growth', ({ rssBefore, rssPeak }) => mib(rssPeak - rssBefore)),
    row('heap growth, kept', ({ heapBefore, heapAfter }) => mib(heapAfter - heapBefore)),
    ...Object.keys(stalled.statements).map((name) =>
      row(`statements, ${name}`, ({ statements }) => whole(statements[name] ?? 0)),
    ),
    ...calm.others.map(({ group }, i) =>
      row(`${group}: missed / out of order`, ({ others }) => {
        const { missed, wrong, endedWith = '' } = others[i] ?? {};
        return `${missed} / ${wrong} ${endedWith}`.trim();
      }),
    ),
  ];
}

/** Each task once more, in one statement. */
async function changeAll(
  { database, broker }: Service,
  tasks: readonly Task[],
): Promise<readonly Task[]> {
  const changes = await createAdvance({ sql: database, broker })(tasks.map(swing));
  return changes.map((change) => {
    if (change === undefined) throw new Error('A task was changed by someone else.');
    return change.task;
  });
}

function versionsOf(tasks: readonly Task[]): Map<string, number> {
  return new Map(tasks.map(({ id, version }) => [id, version]));
}

function countMissed({ versions }: Tally['state'], tasks: readonly Task[]): number {
  return tasks.reduce((sum, { id, version }) => sum + version - (versions.get(id) ?? 0), 0);
}

function samplePeak(api: Api) {
  const stopping = new AbortController();
  const { signal } = stopping;

  async function sample() {
    let peak = 0;
    while (!signal.aborted) {
      peak = Math.max(peak, await api.ask('rss'));
      await pause(100, undefined, { signal }).catch(() => {});
    }
    return peak;
  }

  const sampled = sample();
  return {
    stop() {
      stopping.abort();
      return sampled;
    },
  };
}

/** Waits until a group has heard the present versions, or will hear nothing more. */
function untilCaughtUp(audience: Child<AudienceCommands>, group: string, tasks: readonly Task[]) {
  return untilTally(
    audience,
    group,
    (tally) => tally.isClosed || tally.endedWith !== undefined || countMissed(tally, tasks) <= 0,
  );
}

/** Waits until the server has ended the stream of a group, or has cut it off. */
function untilEnded(audience: Child<AudienceCommands>, group: string) {
  return untilTally(
    audience,
    group,
    ({ isClosed, endedWith }) => isClosed || endedWith !== undefined,
  );
}

async function untilTally(
  audience: Child<AudienceCommands>,
  group: string,
  isEnough: (tally: Tally['state'] & { isClosed: boolean }) => boolean,
) {
  const startedAt = performance.now();
  for (;;) {
    const tally = await audience.ask('tally', { group });
    if (isEnough(tally) || performance.now() - startedAt > CAUGHT_UP_WITHIN_MS) return tally;
    await pause(50);
  }
}

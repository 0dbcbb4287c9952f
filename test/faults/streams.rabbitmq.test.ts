import { expect, test, vi } from 'vitest';
import { cancel, enqueue, retry } from '../../src/domain/transitions.ts';
import { churn, seeded } from '../support/churn.ts';
import { arrive, followStream, randomStays } from '../support/follow-stream.ts';
import { report } from '../support/measure.ts';
import { createPace } from '../support/pace.ts';
import { startApi } from '../support/service-process.ts';
import { setLink, setStage } from '../support/stage.ts';
import { changesAround, FLAWLESS, flawsOf } from '../support/stream-flaws.ts';
import {
  abortedAtTheEnd,
  begin,
  chooseSeed,
  createIds,
  inSum,
  pick,
  seconds,
} from '../support/stream-scene.ts';
import { applyOpenly } from '../support/streams.ts';
import { announceBadly, commitLate, ENDLESS_MOVES } from '../support/third-party.ts';
import {
  createWatcher,
  type Seen,
  TRANSPORTS,
  type Transport,
  type Watched,
} from '../support/watchers.ts';
import { scaled } from './scale.ts';

const ALL: Watched = { filter: {} };
/** Each by values that REST can name; the change that ends a test matches all of them. */
const FILTERS: readonly Watched[] = [
  ALL,
  { filter: { priority: ['HIGH'] } },
  { filter: { status: ['PENDING'] } },
];

test('clients that reconnect at random moments see each change exactly once, in order per task', async () => {
  const seed = chooseSeed();
  const [tasks, changes] = [scaled(500, 2_500), scaled(2_000, 10_000)];
  const [reconnects, cuts] = [scaled(25, 100), scaled(5, 20)];
  const stage = await setStage();
  const { party, start, last, isLast } = await begin(stage);
  const links = [await setLink(stage.env.RABBITMQ_URL), await setLink(stage.env.RABBITMQ_URL)];
  const apis = await Promise.all(
    links.map(({ url }) => startApi({ env: { ...stage.env, RABBITMQ_URL: url } })),
  );
  const ending = abortedAtTheEnd();

  let [index, isCalm] = [0, false];
  // Who falls far behind reads only what nobody changes any more.
  const pace = createPace({ watchers: TRANSPORTS.length, limit: 100 });
  function follow(transport: Transport, watched: Watched, stayedChanges: number) {
    index += 1;
    const first = index;
    const stays = randomStays(seeded(seed + index), {
      count: reconnects,
      changes: stayedChanges,
      ms: 80,
    });
    return followStream({
      watched,
      ...('filter' in watched ? { after: start } : {}),
      connect: (turn) => createWatcher(transport, pick(apis, first + turn).url),
      stay: (turn) => (isCalm ? undefined : stays(turn)),
      isLast,
      ...(watched === ALL ? { onSeen: () => pace.saw(TRANSPORTS.indexOf(transport)) } : {}),
      signal: ending.signal,
    });
  }

  const byFilter = TRANSPORTS.flatMap((transport) =>
    FILTERS.map((watched) => follow(transport, watched, changes / reconnects)),
  );
  const ids = await createIds(party, tasks);
  const watchedIds = ids.slice(0, 5);
  const byId = TRANSPORTS.flatMap((transport) =>
    watchedIds.map((id) => follow(transport, { id }, 2)),
  );
  const following = Promise.all([...byFilter, ...byId]);
  following.catch(() => {}); // Looked at below.

  const startedAt = performance.now();
  const random = seeded(seed);
  const lateIds = await createIds(party, 6 * cuts + 6);
  pace.changed(ids.length + lateIds.length);
  const broker = announceBadly(party.broker, {
    every: changes / (cuts + 1) / 2,
    act(nth) {
      late.turnOver();
      if (nth % 2 === 0 && nth <= 2 * cuts) pick(links, nth / 2).cut();
    },
    loses: () => random() < 0.05,
    onChanges: pace.changed,
  });
  const late = commitLate({ ...party, broker }, { ids: lateIds, each: 3 });
  await churn({
    ...party,
    broker,
    room: pace.room,
    // A tenth more of changes, for those that are watched one by one.
    ids: [...ids, ...Array.from({ length: tasks / 10 }, (_, n) => pick(watchedIds, n))],
    share: 12 / tasks,
    transitions: ENDLESS_MOVES,
    changes,
    random,
  });
  const commits = await late.end();
  isCalm = true;
  // Whoever did this died before it could tell.
  await party.advanceUnheard([...watchedIds.map((id) => cancel(id)), enqueue(last)]);
  const changedAt = performance.now();
  const followed = await arrive(following, ending);
  const arrivedAt = performance.now();

  const happened = await changesAround(stage.ledger, last);
  for (const one of followed) expect(flawsOf(one, happened)).toEqual(FLAWLESS);
  for (const { interruptions } of followed) expect(interruptions.CUT).toBeGreaterThan(0);
  for (const { watched, seen } of followed.slice(byFilter.length)) {
    for (const [index, transport] of TRANSPORTS.entries()) {
      const again = createWatcher(transport, pick(apis, index).url);
      expect(await Array.fromAsync(again.watch(watched, seen.at(-1)?.cursor))).toEqual([]);
      again.drop();
    }
  }
  report(
    `${happened.length} changes of ${tasks} tasks in ${seconds(changedAt - startedAt)}, ${commits} transactions late, ` +
      `RabbitMQ cut ${cuts} times: ${inSum(followed)}; the last change arrived everywhere, unannounced, after ${seconds(arrivedAt - changedAt)}`,
  );
}, 240_000);

test('changes that commit out of order are all delivered to a subscriber that resumes between them', async () => {
  const stage = await setStage();
  const { party, start, last } = await begin(stage);
  const apis = await Promise.all([startApi(stage), startApi(stage)]);
  const ids = await createIds(party, scaled(600, 2_000));
  const [slow, slower, undone, early, later, ...many] = ids;
  const latest = many.at(-1);
  if (!slow || !slower || !undone || !early || !later || !latest) throw new Error('not created');
  const ending = abortedAtTheEnd();

  const readers = TRANSPORTS.flatMap((transport) =>
    apis.map((_, first) => {
      const seen: Seen[] = [];
      let turn = first;
      /** Connects to the API that it has just left the other of, reads to the change, and breaks the connection. */
      async function resumeTo(task: string, target: number) {
        await followStream({
          watched: ALL,
          after: seen.at(-1)?.cursor ?? start,
          connect: () => createWatcher(transport, pick(apis, turn++).url),
          isLast: ({ taskId, version }) => taskId === task && version === target,
          onSeen: (change) => seen.push(change),
          signal: ending.signal,
        });
      }
      /** The present state and all that follows, until it ends. */
      async function watchOne(id: string, onSeen: (change: Seen) => void) {
        await followStream({
          watched: { id },
          connect: () => createWatcher(transport, pick(apis, first).url),
          onSeen,
          signal: ending.signal,
        });
      }
      return { seen, resumeTo, watchOne };
    }),
  );
  let resumes = 0;
  async function allResumeTo(task: string, version: number) {
    resumes += 1;
    await arrive(Promise.all(readers.map(({ resumeTo }) => resumeTo(task, version))), ending);
  }

  await allResumeTo(latest, 1);
  const open = await applyOpenly(party, [cancel(slow)]);
  const doomed = await applyOpenly(party, [cancel(undone)]);
  const opener = await applyOpenly(party, [cancel(slower)]);
  await party.advance([cancel(early)]);
  await allResumeTo(early, 2);
  // Nobody is there when it commits.
  await open.commit();
  await allResumeTo(slow, 2);
  await party.advance([cancel(later)]);
  await allResumeTo(later, 2);
  await doomed.rollBack();
  await party.advance(many.map((id) => cancel(id)));
  await allResumeTo(latest, 2);
  // The same version as that which was undone.
  await party.advance([enqueue(undone)]);
  await allResumeTo(undone, 2);
  // Everybody is there when it commits, and has long seen greater ones.
  const waiting = allResumeTo(slower, 2);
  await party.advance([cancel(undone)]);
  await opener.commit();
  await waiting;
  // Nobody connects any more, and nobody tells: only the database does.
  await party.advance([retry(slow)]);
  const ofOne: Seen[] = [];
  const watching = readers.map(({ watchOne }) => watchOne(slow, (change) => ofOne.push(change)));
  const resumed = allResumeTo(last, 2);
  await vi.waitFor(() => {
    const isThird = ({ taskId, version }: Seen) => taskId === slow && version === 3;
    for (const { seen } of readers) expect(seen.some(isThird)).toBe(true);
    expect(ofOne.filter(isThird)).toHaveLength(readers.length);
  }, 20_000);
  await party.advanceUnheard([cancel(slow), enqueue(last)]);
  await resumed;
  await arrive(Promise.all(watching), ending);
  expect(ofOne.filter(({ version }) => version === 4)).toHaveLength(readers.length);

  const happened = await changesAround(stage.ledger, last);
  for (const { seen } of readers) {
    expect(flawsOf({ watched: ALL, seen }, happened)).toEqual(FLAWLESS);
  }
  report(
    `${readers.length} readers, each resumed ${resumes} times among ${happened.length} changes, 2 of them late by up to ` +
      `${ids.length} others, 1 rolled back`,
  );
}, 90_000);

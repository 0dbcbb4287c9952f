import { expect, test } from 'vitest';
import { cancel, enqueue } from '../../src/domain/transitions.ts';
import { churn, seeded } from '../support/churn.ts';
import { arrive, followStream, sharing } from '../support/follow-stream.ts';
import { report } from '../support/measure.ts';
import { startApi } from '../support/service-process.ts';
import { setStage } from '../support/stage.ts';
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
import { announceBadly, ENDLESS_MOVES } from '../support/third-party.ts';
import { createWatcher, type Watched, type Watcher } from '../support/watchers.ts';
import { scaled } from './scale.ts';

test('an API killed -9 with many subscribers: all resume on the other without loss', async () => {
  const seed = chooseSeed();
  const random = seeded(seed);
  const [sockets, tasks, changes] = [scaled(10, 50), scaled(200, 500), scaled(1_500, 5_000)];
  const stage = await setStage();
  const { party, start, last, isLast } = await begin(stage);
  const [doomed, other] = await Promise.all([startApi(stage), startApi(stage)]);
  const ids = await createIds(party, tasks);
  const watchedIds = ids.slice(0, 50);
  const ending = abortedAtTheEnd();
  let killedAt = Number.NaN;
  const isKilled = () => !Number.isNaN(killedAt);
  const connected = Promise.withResolvers<void>();
  const [seenBefore, seenAfter] = [new Set<Watched>(), new Map<Watched, number>()];

  /** Ten subscriptions over one socket. Few of them want much, so that the machine has time for the rest. */
  function share(index: number): Watched[] {
    const some = () => [last, ...ids.filter(() => random() < 20 / tasks)];
    return [
      index % 5 === 0 ? { filter: {} } : { filter: { ids: some() } },
      index % 5 === 1 ? { filter: { priority: ['HIGH'] } } : { filter: { ids: some() } },
      ...Array.from({ length: 3 }, () => ({ filter: { ids: some() } })),
      ...Array.from({ length: 5 }, () => ({ id: pick(watchedIds, random() * 50) })),
    ];
  }

  function follow(watched: Watched, connect: () => Watcher) {
    return followStream({
      watched,
      ...('filter' in watched ? { after: start } : {}),
      connect,
      isLast,
      onSeen(_change, turn) {
        if (turn > 0 && isKilled() && !seenAfter.has(watched))
          seenAfter.set(watched, performance.now());
        seenBefore.add(watched);
        if (seenBefore.size === 10 * sockets) connected.resolve();
      },
      signal: ending.signal,
    });
  }

  const following = Promise.all(
    Array.from({ length: sockets }, (_, index) => {
      const before = createWatcher('graphql-ws', doomed.url);
      const after = createWatcher('graphql-ws', other.url);
      ending.signal.addEventListener('abort', () => [before, after].map(({ drop }) => drop()));
      return share(index).map((watched) =>
        follow(watched, () => sharing(isKilled() ? after : before)),
      );
    }).flat(),
  );
  following.catch(() => {}); // Looked at below.
  await Promise.race([connected.promise, following]);

  await churn({
    database: party.database,
    broker: announceBadly(party.broker, {
      every: changes / 2,
      act(nth) {
        if (nth > 1) return;
        killedAt = performance.now();
        doomed.kill('SIGKILL');
      },
    }),
    ids,
    share: 12 / tasks,
    transitions: ENDLESS_MOVES,
    changes,
    random,
  });
  await party.advance([...watchedIds.map((id) => cancel(id)), enqueue(last)]);
  const followed = await arrive(following, ending);

  const happened = await changesAround(stage.ledger, last);
  for (const one of followed) expect(flawsOf(one, happened)).toEqual(FLAWLESS);
  for (const { interruptions } of followed) expect(interruptions.CUT).toBeGreaterThan(0);
  const ofAll = [...seenAfter].filter(([watched]) => 'filter' in watched && !watched.filter.ids);
  report(
    `${happened.length} changes of ${tasks} tasks, killed in the middle: ${inSum(followed)}; who watches many had the ` +
      `next change after ${seconds(Math.max(...ofAll.map(([, at]) => at)) - killedAt)} at most`,
  );
}, 180_000);

import fc from 'fast-check';
import { TASK_PRIORITIES, TASK_STATUSES } from '../../../src/domain/task.ts';
import type { Plan } from './book.ts';
import { cancel, cancelAll, retry, retryAll } from './change-commands.ts';
import { contradict, create, createAll, repeat } from './create-commands.ts';
import { crash, drain, endSessions, harm, rob, suspend } from './fault-commands.ts';
import {
  babble,
  disturbTheDead,
  duplicate,
  QUEUES,
  SETTLEMENTS,
  settleLate,
} from './hostile-commands.ts';
import { read, untilRunning } from './read-commands.ts';
import { type Step, together } from './step.ts';

/** @param length of each run; the same for all, since short ones would mostly pay for the wait at their end */
export function anyCommands(length: number): fc.Arbitrary<Step[]> {
  return fc.array(anyCommand(), { minLength: length, maxLength: length });
}

function anyCommand(): fc.Arbitrary<Step> {
  const weighted = (weights: readonly [number, fc.Arbitrary<Step>][]) =>
    fc.oneof(...weights.map(([weight, arbitrary]) => ({ weight, arbitrary })));
  const atOnce = fc
    .array(weighted([...CLIENT, ...HOSTILE]), { minLength: 2, maxLength: 5 })
    .map(together);
  return weighted([...CLIENT, ...HOSTILE, ...FAULTS, [12, atOnce]]);
}

const priority = fc.constantFrom(...TASK_PRIORITIES);
const api = fc.nat({ max: 1 });
const via = fc.constantFrom('REST' as const, 'GraphQL' as const);
/** Counts back from the latest. */
const pick = fc.nat({ max: 9 });

/** Mostly short; some long enough to be met in the middle, or to run out of time. */
const durationMs = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 300 }) },
  { weight: 1, arbitrary: fc.constant(1_500) },
);

const plan: fc.Arbitrary<Plan> = fc
  .record({
    priority,
    payload: fc.record({ durationMs, failAttempts: fc.constantFrom(0, 0, 1, 2, 3) }),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    retry: fc.record({ baseSeconds: fc.constantFrom(0, 0.1) }),
    timeoutSeconds: seldom(fc.constant(1)),
    ttlSeconds: seldom(fc.integer({ min: 1, max: 2 })),
    runInMs: seldom(fc.integer({ min: -1_000, max: 2_000 })),
    keyed: fc.boolean(),
  })
  .map(({ timeoutSeconds, ttlSeconds, runInMs, ...rest }) => ({
    ...rest,
    ...(timeoutSeconds !== null && { timeoutSeconds }),
    ...(ttlSeconds !== null && { ttlSeconds }),
    ...(runInMs !== null && { runInMs }),
  }));

const narrowing = fc.oneof(
  fc.record({ picks: fc.array(pick, { minLength: 1, maxLength: 5 }) }),
  fc.record({ priority: fc.subarray([...TASK_PRIORITIES], { minLength: 1 }) }),
  fc.record({ status: fc.subarray([...TASK_STATUSES], { minLength: 1 }) }),
);

const CLIENT: readonly [number, fc.Arbitrary<Step>][] = [
  [16, fc.tuple(api, via, plan).map((args) => create(...args))],
  [
    8,
    fc.tuple(api, fc.array(plan, { minLength: 2, maxLength: 6 })).map((args) => createAll(...args)),
  ],
  [6, fc.tuple(pick, api, via).map((args) => repeat(...args))],
  [2, fc.tuple(pick, api, via).map((args) => contradict(...args))],
  [8, fc.tuple(pick, api, via).map((args) => cancel(...args))],
  [8, fc.tuple(pick, api).map((args) => retry(...args))],
  [2, fc.tuple(api, narrowing).map((args) => cancelAll(...args))],
  [3, fc.tuple(api, narrowing).map((args) => retryAll(...args))],
  [8, fc.tuple(pick, api, via).map((args) => read(...args))],
  [8, pick.map(untilRunning)],
];

const settlement = fc.constantFrom(...(Object.keys(SETTLEMENTS) as (keyof typeof SETTLEMENTS)[]));

const HOSTILE: readonly [number, fc.Arbitrary<Step>][] = [
  [10, settlement.map(settleLate)],
  [
    8,
    fc
      .tuple(pick, fc.integer({ min: 1, max: 3 }), fc.constantFrom(...QUEUES))
      .map((args) => duplicate(...args)),
  ],
  [2, fc.constant(null).map(disturbTheDead)],
  [1, priority.map(babble)],
];

const worker = fc.nat({ max: 1 }).map((number) => ['workers', number] as const);
const anyone = fc.oneof(
  worker,
  fc.nat({ max: 1 }).map((number) => ['apis', number] as const),
);
const lasting = fc.noBias(fc.integer({ min: 200, max: 2_500 }));
const backAfterMs = fc.noBias(fc.nat({ max: 1_000 }));
const linkFault = fc.constantFrom('CUT' as const, 'REFUSE' as const, 'STALL' as const);

const FAULTS: readonly [number, fc.Arbitrary<Step>][] = [
  [4, fc.tuple(worker, backAfterMs).map((args) => crash(...args))],
  [5, worker.map(drain)],
  [1, fc.tuple(anyone, backAfterMs).map((args) => crash(...args))],
  [2, fc.tuple(anyone, lasting).map((args) => suspend(...args))],
  [
    12,
    fc
      .tuple(
        fc.oneof(
          { weight: 3, arbitrary: anyone },
          { weight: 1, arbitrary: fc.constant('ALL' as const) },
        ),
        fc.constantFrom('postgres' as const, 'rabbit' as const),
        linkFault,
        lasting,
      )
      .map((args) => harm(...args)),
  ],
  [1, fc.constant(null).map(endSessions)],
  [
    1,
    fc
      .tuple(priority, fc.constantFrom('purgeQueue' as const, 'deleteQueue' as const))
      .map((args) => rob(...args)),
  ],
];

function seldom<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

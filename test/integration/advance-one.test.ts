import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { cancel, claim, complete } from '../../src/domain/transitions.ts';
import type { Advance } from '../../src/tasks/advance.ts';
import { type AdvanceOne, createAdvanceOne } from '../../src/tasks/advance-one.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000a';

let app: TestService;
let advance: AdvanceOne;
/** How many transitions each call had. */
let calls: number[];

beforeEach(async () => {
  app = await startTestService();
  calls = [];
  const counted: Advance = (transitions, options) => {
    calls.push(transitions.length);
    return app.advance(transitions, options);
  };
  advance = createAdvanceOne({ sql: app.database, advance: counted });
});

test('what comes at the same time is done in one statement', async () => {
  const tasks = await Promise.all(Array.from({ length: 20 }, () => app.create()));
  const changes = await Promise.all(tasks.map(({ id }) => advance(claim(id, WORKER))));
  expect(changes.map(({ change }) => change?.task.id)).toEqual(tasks.map(({ id }) => id));
  expect(calls).toEqual([20]);
});

test('of two who claim the same task at the same time one gets it', async () => {
  const { id } = await app.create();
  const changes = await Promise.all([advance(claim(id, WORKER)), advance(claim(id, WORKER))]);
  expect(changes.map(({ change }) => change?.task.status)).toEqual(['IN_PROGRESS', undefined]);
  // Never in one statement, which takes one transition of a task at most; and what is left undone is tried again.
  expect(calls).toEqual([1, 1, 1]);
});

test('rows that someone else holds delay their own transitions and no others', async () => {
  const tasks = await Promise.all(Array.from({ length: 8 }, () => app.create()));
  const ids = tasks.map(({ id }) => id);
  const held = ids.slice(0, 4);
  const letGo = Promise.withResolvers<void>();
  const areHeld = Promise.withResolvers<void>();
  const holding = app.database.transaction(async (tx) => {
    const text = 'select 1 from tasks where id = any($1::uuid[]) for update';
    await tx.run({ name: 'hold', text }, [held]);
    areHeld.resolve();
    await letGo.promise;
  });
  await areHeld.promise;
  // More than there may be batches on their way.
  const onHeld: ReturnType<AdvanceOne>[] = [];
  for (const id of held) {
    onHeld.push(advance(cancel(id)));
    await sleep(20);
  }
  const onOthers = await Promise.all(ids.slice(4).map((id) => advance(cancel(id))));
  expect(onOthers.map(({ change }) => change?.task.status)).toEqual(new Array(4).fill('CANCELLED'));
  expect(await Promise.race([...onHeld, sleep(50, 'waits')])).toBe('waits');
  letGo.resolve();
  await holding;
  const statuses = (await Promise.all(onHeld)).map(({ change }) => change?.task.status);
  expect(statuses).toEqual(new Array(4).fill('CANCELLED'));
});

test('a transition that fails takes none of its batch with it', async () => {
  const tasks = await Promise.all(Array.from({ length: 3 }, () => app.create()));
  const claims = await Promise.all(tasks.map(({ id }) => advance(claim(id, WORKER))));
  const results = [1, 'what PostgreSQL cannot store: \0', 3];
  const settled = await Promise.allSettled(
    claims.map(({ change }, index) => {
      const { id = '', version = 0 } = change?.task ?? {};
      return advance(complete({ taskId: id, version }, results[index] ?? null));
    }),
  );
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('what is left undone says why, and a guard that failed costs no statement of its own', async () => {
  const [done, open] = await Promise.all([app.create(), app.create()]);
  const cancelled = await app.service.cancel(done?.id ?? '');
  const absent = '01890000-0000-7000-8000-000000000000';
  const ids = [cancelled.id, absent, open?.id ?? ''];
  const outcomes = await Promise.all(ids.map((id) => advance(claim(id, WORKER))));
  expect(outcomes).toEqual([
    { change: undefined, seen: { status: 'CANCELLED', version: 3, now: expect.any(Date) } },
    { change: undefined, seen: { status: undefined, version: undefined, now: expect.any(Date) } },
    { change: expect.objectContaining({ task: expect.objectContaining({ id: open?.id }) }) },
  ]);
  // Tried once more together.
  expect(calls).toEqual([3, 2]);
});

test('what was committed before the database failed its batch has happened', async () => {
  const { id } = await app.create();
  const gone = '01890000-0000-7000-8000-000000000000';
  const failing = createAdvanceOne({
    advance: app.advance,
    sql: {
      run: async () => {
        throw new Error('away');
      },
    },
  });
  const [done, undone] = await Promise.allSettled([
    failing(claim(id, WORKER)),
    failing(claim(gone, WORKER)),
  ]);
  expect(done).toMatchObject({ value: { change: { task: { status: 'IN_PROGRESS' } } } });
  expect(undone).toMatchObject({ status: 'rejected', reason: { message: 'away' } });
});

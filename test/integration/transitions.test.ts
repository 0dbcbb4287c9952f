import { beforeEach, describe, expect, test } from 'vitest';
import {
  TASK_STATUSES,
  type Task,
  type TaskChange,
  type TaskStatus,
} from '../../src/domain/task.ts';
import * as t from '../../src/domain/transitions.ts';
import { applyTransitions } from '../../src/store/apply-transitions.ts';
import { storeProgress } from '../../src/store/progress.ts';
import { historyOf } from '../support/history-of.ts';
import { missDeadline } from '../support/miss-deadline.ts';
import { startTestService, type TestService } from '../support/test-service.ts';
import { TRANSITIONS } from '../support/transition-table.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';
const FAILURE = {
  error: { name: 'Error', message: 'boom', stack: null, attempt: 1 },
  outcome: 'FAILED',
} as const;

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('every status × transition, in the database', () => {
  test.each(TASK_STATUSES)(
    'from %s only the allowed transitions change the row',
    async (status) => {
      for (const [name, { transition, from, to }] of Object.entries(TRANSITIONS)) {
        const task = await taskIn(status);
        if (transition.guard.deadline === 'MISSED') await missDeadline(app.database, task);
        const guard =
          'version' in transition.guard
            ? { ...transition.guard, version: task.version }
            : transition.guard;
        const change = await apply({ ...transition, taskId: task.id, guard });
        const allowed = from.includes(status);
        expect(change?.task.status, `${name} from ${status}`).toBe(allowed ? to : undefined);
        const stored = await app.service.get(task.id);
        expect(stored.version).toBe(task.version + (allowed ? 1 : 0));
        expect(stored.status).toBe(allowed ? to : status);
      }
    },
  );
});

describe('a change', () => {
  test('raises the version by one and leaves one event that says what happened', async () => {
    const task = await taskIn('IN_PROGRESS');
    await apply(t.complete(claimOf(task), { sum: 42 }));
    const history = await historyOf(app.database, task.id);
    expect(history.map(({ event }) => [event.version, event.previousStatus, event.status])).toEqual(
      [
        [1, null, 'NEW'],
        [2, 'NEW', 'PENDING'],
        [3, 'PENDING', 'IN_PROGRESS'],
        [4, 'IN_PROGRESS', 'COMPLETED'],
      ],
    );
    expect(history.at(-1)?.event).toMatchObject({ outcome: 'COMPLETED', workerId: WORKER });
    expect(history.at(-1)?.task).toMatchObject({ result: { sum: 42 }, workerId: null });
  });

  test('a late complete from a lost claim changes nothing', async () => {
    const first = await taskIn('IN_PROGRESS');
    await apply(t.retryLater(claimOf(first), FAILURE, 0));
    const second = (await apply(t.claim(first.id, WORKER)))?.task;
    expect(await apply(t.complete(claimOf(first), 'late'))).toBeUndefined();
    expect(await app.service.get(first.id)).toEqual(second);
  });

  test('of two claims at once exactly one succeeds', async () => {
    const task = await taskIn('PENDING');
    const claims = await Promise.all(
      Array.from({ length: 8 }, () => apply(t.claim(task.id, WORKER))),
    );
    expect(claims.filter((change) => change !== undefined)).toHaveLength(1);
  });

  test('a NEW task cannot be claimed before its time, whatever message arrives', async () => {
    const task = await app.create({ runAt: new Date(Date.now() + 60_000) });
    expect(task.status).toBe('NEW');
    expect(await apply(t.claim(task.id, WORKER))).toBeUndefined();
  });

  test('giving a task back does not use up its attempt, failing does', async () => {
    const task = await taskIn('IN_PROGRESS');
    expect((await apply(t.release(claimOf(task))))?.task.attempt).toBe(0);
    const again = (await apply(t.claim(task.id, WORKER)))?.task;
    expect(again?.attempt).toBe(1);
    if (again === undefined) throw new Error('not claimed');
    const failed = await apply(t.retryLater(claimOf(again), FAILURE, 60_000));
    expect(failed?.task).toMatchObject({ attempt: 1, status: 'NEW', error: FAILURE.error });
    expect(Number(failed?.task.runAt) - Date.now()).toBeGreaterThan(50_000);
  });

  test('retrying keeps the count of attempts and adds those the task was created with', async () => {
    const task = await taskIn('FAILED');
    const retried = await apply(t.retry(task.id));
    expect(retried?.task).toMatchObject({ attempt: 1, maxAttempts: 6, finishedAt: null });
  });

  test('many go in one statement, and one that fails its guard takes none with it', async () => {
    const tasks = await Promise.all(
      ['PENDING', 'COMPLETED', 'NEW'].map((s) => taskIn(s as TaskStatus)),
    );
    const changes = await applyTransitions(
      app.database,
      tasks.map(({ id }) => t.cancel(id, 'no longer wanted')),
    );
    expect(changes.map((change) => change?.task.status)).toEqual([
      'CANCELLED',
      undefined,
      'CANCELLED',
    ]);
    expect(changes.map((change) => change?.task.id)).toEqual([
      tasks[0]?.id,
      undefined,
      tasks[2]?.id,
    ]);
    expect(changes[0]?.event).toMatchObject({ reason: 'no longer wanted', outcome: null });
  });
});

describe('of a task that whoever holds its claim knows', () => {
  const settlements: Record<string, (claim: t.Claim) => t.Transition> = {
    complete: (claim) => t.complete(claim, { sum: 42 }),
    'complete with nothing': (claim) => t.complete(claim, null),
    retryLater: (claim) => t.retryLater(claim, FAILURE, 1_000),
    fail: (claim) => t.fail(claim, FAILURE),
    release: t.release,
    rescue: (claim) => t.rescue(claim, FAILURE.error),
    condemn: (claim) => t.condemn(claim, FAILURE.error),
  };

  test.each(Object.entries(settlements))(
    '%s tells all that the row says',
    async (_name, settle) => {
      const task = await taskIn('IN_PROGRESS');
      const claim = claimOf(task);
      // The one thing that changes while the version stays.
      await storeProgress(app.database, [{ claim, progress: 0.5, message: 'half' }]);
      const change = await apply(settle({ ...claim, task }));
      expect(change?.task).toEqual(await app.service.get(task.id));
      expect(change).toEqual((await historyOf(app.database, task.id)).at(-1));
    },
  );
});

async function apply(transition: t.Transition): Promise<TaskChange | undefined> {
  const [change] = await app.advance([transition]);
  return change;
}

function claimOf({ id, version }: Task): t.Claim {
  return { taskId: id, version };
}

/** A fresh task that has come to this status by allowed moves. */
async function taskIn(status: TaskStatus): Promise<Task> {
  if (status === 'NEW') {
    const cancelled = await taskIn('CANCELLED');
    const change = await apply(t.retry(cancelled.id));
    if (change === undefined) throw new Error('not retried');
    return change.task;
  }
  let task = await app.create();
  const step = async (transition: t.Transition) => {
    const change = await apply(transition);
    if (change === undefined) throw new Error(`no way to ${status}`);
    task = change.task;
  };
  if (status === 'CANCELLED') await step(t.cancel(task.id));
  if (['IN_PROGRESS', 'COMPLETED', 'FAILED'].includes(status)) await step(t.claim(task.id, WORKER));
  if (status === 'COMPLETED') await step(t.complete(claimOf(task), null));
  if (status === 'FAILED') await step(t.fail(claimOf(task), FAILURE));
  return task;
}

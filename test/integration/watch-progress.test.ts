import { beforeEach, describe, expect, test } from 'vitest';
import type { TaskProgress } from '../../src/domain/task.ts';
import { type Claim, cancel, claim } from '../../src/domain/transitions.ts';
import { storeProgress } from '../../src/store/progress.ts';
import type { TaskHandlers } from '../../src/worker/handler.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('watching the progress of a task', () => {
  test('gives at most five values a second, the last one, and ends with the task', async () => {
    const handlers: TaskHandlers = {
      simulate: {
        description: 'Reports what it does.',
        async run({ progress }) {
          for (let step = 1; step <= 100; step += 1) {
            progress(step / 100, `step ${step}`);
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          return null;
        },
      },
    };
    const { id } = await app.create();
    const stream = await app.feed.watchProgress(id);
    await app.startWorker({ handlers });
    const seen = await Array.fromAsync(stream);
    expect(seen.at(-1)).toMatchObject({ taskId: id, attempt: 1, progress: 1, message: 'step 100' });
    expect(seen.map(({ progress }) => progress)).toEqual(
      seen.map(({ progress }) => progress).sort((a, b) => a - b),
    );
    const lasted = (seen.at(-1)?.at.getTime() ?? 0) - (seen[0]?.at.getTime() ?? 0);
    // The last report of a run does not wait for its turn.
    expect(seen.length).toBeLessThanOrEqual(2 + Math.ceil(lasted / 250));
    expect(seen.length).toBeGreaterThan(2);
  });

  test('begins with the last value there is, and goes on with what is announced', async () => {
    const run = await running();
    await stored(run, 0.25);
    const stream = await app.feed.watchProgress(run.taskId);
    expect(await next(stream)).toBe(0.25);
    app.broker.publishProgress(await stored(run, 0.5));
    expect(await next(stream)).toBe(0.5);
  });

  test('makes up for a lost announcement even when no other follows', async () => {
    const run = await running();
    const stream = await app.feed.watchProgress(run.taskId);
    await stored(run, 0.75);
    expect(await next(stream)).toBe(0.75);
  });

  test('tells the last value before it ends, though nobody heard of it', async () => {
    const run = await running();
    const stream = await app.feed.watchProgress(run.taskId);
    app.broker.publishProgress(await stored(run, 0.5));
    expect(await next(stream)).toBe(0.5);
    await stored(run, 0.9);
    await app.advance([cancel(run.taskId)]);
    expect((await Array.fromAsync(stream)).map(({ progress }) => progress)).toEqual([0.9]);
  });

  test('does not go back when the report of a run that lost its claim comes late', async () => {
    const run = await running();
    const [late] = await stored(run, 0.5);
    if (late === undefined) throw new Error('not stored');
    const stream = await app.feed.watchProgress(run.taskId);
    expect(await next(stream)).toBe(0.5);
    const newer = { ...late, version: late.version + 2 };
    app.broker.publishProgress([{ ...newer, progress: 0.1 }]);
    expect(await next(stream)).toBe(0.1);
    app.broker.publishProgress([late, { ...newer, progress: 0.2 }]);
    expect(await next(stream)).toBe(0.2);
  });

  test('ends at once when the task is final, and refuses one that there is not', async () => {
    const { id } = await app.create();
    await app.advance([cancel(id)]);
    expect(await Array.fromAsync(await app.feed.watchProgress(id))).toEqual([]);
    await expect(app.feed.watchProgress(WORKER)).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
  });
});

async function running(): Promise<Claim> {
  const { id } = await app.create();
  const [claimed] = await app.advance([claim(id, WORKER)]);
  return { taskId: id, version: claimed?.event.version ?? 0 };
}

/** What a worker stores, without announcing it. */
function stored(run: Claim, progress: number) {
  return storeProgress(app.database, [{ claim: run, progress, message: null }]);
}

async function next(stream: AsyncIterator<TaskProgress>): Promise<number> {
  const { value, done } = await stream.next();
  if (done === true) throw new Error('the stream has ended');
  return (value as TaskProgress).progress;
}

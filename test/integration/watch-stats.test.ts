import { beforeEach, describe, expect, test } from 'vitest';
import { cancel, claim, complete, retry } from '../../src/domain/transitions.ts';
import type { TaskStats } from '../../src/tasks/task-stats.ts';
import { churn, seeded } from '../support/churn.ts';
import { applyOpenly } from '../support/streams.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const WORKER = '01890000-0000-7000-8000-00000000000f';
const runAt = new Date(Date.now() + 3_600_000);

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

describe('watching the counts', () => {
  test('begins with the present ones, and tells those after a change', async () => {
    await app.create({ priority: 'LOW' });
    const stats = await app.feed.watchStats();
    expect(await told(stats)).toEqual({ 'PENDING LOW': 1 });
    const { id } = await app.create({ priority: 'HIGH' });
    expect(await until(stats, 'PENDING HIGH', 1)).toEqual({ 'PENDING LOW': 1, 'PENDING HIGH': 1 });
    const [claimed] = await app.advance([claim(id, WORKER)]);
    await app.advance([complete({ taskId: id, version: claimed?.event.version ?? 0 }, null)]);
    expect(await until(stats, 'COMPLETED HIGH', 1)).toEqual({
      'PENDING LOW': 1,
      'COMPLETED HIGH': 1,
    });
  });

  test('is right after thousands of changes on many connections that began before it', async () => {
    const ids = await Promise.all(
      Array.from({ length: 60 }, async () => (await app.create({ runAt })).id),
    );
    const churning = churn({ ...app, ids, changes: 3_000, random: seeded(2) });
    const first = await app.feed.watchStats();
    const second = await app.feed.watchStats();
    await churning;
    const { id } = await app.create();
    await app.advance([cancel(id)]);
    const expected = await counted();
    for (const stats of [first, second]) {
      await expect.poll(() => told(stats), { timeout: 5_000 }).toEqual(expected);
    }
  });

  test('counts a change once that commits while the tasks are counted', async () => {
    const { id } = await app.create({ runAt });
    const open = await applyOpenly(app, [cancel(id)]);
    const stats = await app.feed.watchStats();
    expect(await told(stats)).toEqual({ 'NEW MEDIUM': 1 });
    await open.commit();
    expect(await told(stats)).toEqual({ 'CANCELLED MEDIUM': 1 });
    await app.advance([retry(id)]);
    expect(await told(stats)).toEqual({ 'NEW MEDIUM': 1 });
  });

  test('counts anew when tasks were deleted', async () => {
    const { id } = await app.create({ runAt });
    const stats = await app.feed.watchStats();
    expect(await told(stats)).toEqual({ 'NEW MEDIUM': 1 });
    await app.database.run({ text: 'delete from tasks where id = $1' }, [id]);
    expect(await told(stats)).toEqual({});
  });

  test('tells no more than twice a second, however much changes', async () => {
    const { id } = await app.create({ runAt });
    const stats = await app.feed.watchStats();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { at } of stats) seen.push(at.getTime());
    })();
    for (let round = 0; round < 300; round += 1) {
      await app.advance([round % 2 === 0 ? cancel(id) : retry(id)]);
    }
    await app.advance([cancel(id)]);
    const last = Date.now();
    await expect.poll(() => seen.at(-1) ?? 0, { timeout: 5_000 }).toBeGreaterThanOrEqual(last - 5);
    await stats.return?.();
    await reading;
    const pauses = seen.slice(2).map((at, n) => at - (seen[n + 1] ?? 0));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(490);
  });
});

async function told(stats: AsyncIterator<TaskStats>): Promise<Record<string, number>> {
  const { value, done } = await stats.next();
  if (done === true) throw new Error('the stream has ended');
  return Object.fromEntries(
    (value as TaskStats).counts
      .filter(({ count }) => count !== 0)
      .map(({ status, priority, count }) => [`${status} ${priority}`, count]),
  );
}

async function until(stats: AsyncIterator<TaskStats>, name: string, count: number) {
  for (;;) {
    const counts = await told(stats);
    if (counts[name] === count) return counts;
  }
}

async function counted(): Promise<Record<string, number>> {
  const rows = await app.database.run<{ name: string; count: number }>({
    text: "select status || ' ' || priority as name, count(*)::int as count from tasks group by 1",
  });
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

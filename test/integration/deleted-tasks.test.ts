import { beforeEach, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/test-service.ts';

let app: TestService;

beforeEach(async () => {
  app = await startTestService();
});

test('the events and traits of a deleted task go with it, and no others', async () => {
  const [gone, left] = [await app.create(), await app.create()];
  const before = await horizon();
  await app.database.run({ text: 'delete from tasks where id = $1' }, [gone.id]);
  expect(await ownersOfEvents()).toEqual([left.id]);
  expect(await ownersOfTraits()).toEqual([left.id]);
  expect(await horizon()).toBeGreaterThan(before);
});

test('when all tasks are cut off at once, so are their events and traits', async () => {
  await app.create();
  const before = await horizon();
  await app.database.run({ text: 'truncate tasks' });
  expect(await ownersOfEvents()).toEqual([]);
  expect(await ownersOfTraits()).toEqual([]);
  expect(await horizon()).toBeGreaterThan(before);
});

async function ownersOfEvents(): Promise<string[]> {
  const text = 'select distinct task_id as id from task_events';
  return (await app.database.run<{ id: string }>({ text })).map(({ id }) => id);
}

async function ownersOfTraits(): Promise<string[]> {
  const text = 'select id from task_traits';
  return (await app.database.run<{ id: string }>({ text })).map(({ id }) => id);
}

async function horizon(): Promise<number> {
  const [row] = await app.database.run<{ seq: string }>({ text: 'select seq from event_horizon' });
  return Number(row?.seq);
}

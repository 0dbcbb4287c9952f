import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { type Audit, audit } from '../support/audit.ts';
import { startTestService } from '../support/test-service.ts';

/** The soak and the model-based test are worth what their audit notices. */
test('the audit finds nothing wrong with tasks that were completed, cancelled and retried', async () => {
  const { service, completed, check } = await setUp();
  const { id } = await service.create({ runAt: soon() });
  await service.service.cancel(id);
  const account = await check({ acknowledged: [completed, id], cancelled: [id] });
  expect(account).toMatchObject({ stored: 2, byStatus: { COMPLETED: 1, CANCELLED: 1 } });
  expect(wrongIn(account)).toEqual({ lost: 0, stranded: 0, completedTwice: 0, breaches: 0 });
});

test('the audit finds a task that was acknowledged and is not there', async () => {
  const { completed, check, damage } = await setUp();
  await damage('delete from tasks where id = $1', completed);
  expect((await check({ acknowledged: [completed] })).lost).toEqual([completed]);
});

test('the audit finds a task that is not final', async () => {
  const { service, check } = await setUp();
  const { id } = await service.create({ runAt: soon() });
  expect((await check({ acknowledged: [id] })).stranded).toEqual([`${id}: NEW`]);
});

test('the audit finds a task that was completed twice', async () => {
  const { completed, check, damage } = await setUp();
  await damage(appended('IN_PROGRESS', 'COMPLETED'), completed);
  await damage(appended('COMPLETED', 'IN_PROGRESS'), completed);
  const account = await check({ acknowledged: [completed] });
  expect(account.completedTwice).toHaveLength(1);
  expect(account.breaches.join()).toContain('made a move that is not allowed');
});

test.each([
  ['a gap', 'has a gap', 'delete from task_events where task_id = $1 and version = 2'],
  [
    'a move that is not allowed',
    'made a move that is not allowed',
    "update task_events set previous_status = 'FAILED' where task_id = $1 and version = 3",
  ],
  [
    'a row that has moved without an event',
    'unlike its history',
    "update tasks set status = 'FAILED' where id = $1",
  ],
  [
    'an attempt too many',
    'counts 2 attempts',
    'update tasks set attempt = attempt + 1 where id = $1',
  ],
])('the audit finds %s', async (_what, breach, statement) => {
  const { completed, check, damage } = await setUp();
  await damage(statement, completed);
  expect((await check({ acknowledged: [completed] })).breaches.join()).toContain(breach);
});

test('the audit finds that an acknowledged cancel or retry did not happen', async () => {
  const { completed, check } = await setUp();
  const account = await check({ cancelled: [completed], retried: [completed] });
  expect(account.breaches).toEqual([
    `an acknowledged cancel did not happen: ${completed}`,
    `an acknowledged retry did not happen: ${completed}`,
  ]);
});

/** A service with one task that has completed by the rules. */
async function setUp() {
  const service = await startTestService();
  await service.startWorker();
  const { id: completed } = await service.create({ payload: { durationMs: 0 } });
  await service.follow(completed);
  const sql = new pg.Pool({ connectionString: service.databaseUrl, max: 1 });
  onTestFinished(() => sql.end());
  await sql.query(WITHOUT_CHECKS);

  function check(told: { acknowledged?: string[]; cancelled?: string[]; retried?: string[] }) {
    const { acknowledged = [], cancelled = [], retried = [] } = told;
    return audit(sql, {
      acknowledged: new Set(acknowledged),
      cancelled: new Set(cancelled),
      retried: new Set(retried),
    });
  }

  async function damage(statement: string, id: string): Promise<void> {
    expect((await sql.query(statement, [id])).rowCount).toBe(1);
  }

  return { service, completed, check, damage };
}

function soon(): Date {
  return new Date(Date.now() + 3_600_000);
}

/** The database would refuse much of what is to be found out. */
const WITHOUT_CHECKS = `
do $$ declare name text; begin
  for name in select conname from pg_constraint where conrelid = 'tasks'::regclass and contype = 'c' loop
    execute format('alter table tasks drop constraint %I', name);
  end loop;
end $$`;

/** One more event; the row keeps up, so that nothing but the move is wrong. */
function appended(status: string, previous: string): string {
  return `
  with task as (update tasks set version = version + 1, status = '${status}' where id = $1 returning *)
  insert into task_events (task_id, version, status, previous_status, attempt)
  select id, version, '${status}', '${previous}', attempt from task`;
}

function wrongIn({ lost, stranded, completedTwice, breaches }: Audit) {
  return {
    lost: lost.length,
    stranded: stranded.length,
    completedTwice: completedTwice.length,
    breaches: breaches.length,
  };
}

import type { TaskChange } from '../../src/domain/task.ts';
import type { Transition } from '../../src/domain/transitions.ts';
import { applyTransitions } from '../../src/store/apply-transitions.ts';
import type { Sql } from '../../src/store/sql.ts';
import { happened } from '../../src/tasks/advance.ts';
import type { StreamedChange } from '../../src/tasks/cursor.ts';
import type { TestService } from './test-service.ts';

/** Waits for the next change of a stream that must not end. */
export async function next(changes: AsyncIterator<StreamedChange>): Promise<StreamedChange> {
  const { value, done } = await changes.next();
  if (done === true) throw new Error('the stream has ended');
  return value;
}

/** Reads to the first change of this task. @returns all before it */
export async function takeUntil(changes: AsyncIterator<StreamedChange>, taskId: string) {
  const taken: StreamedChange[] = [];
  for (;;) {
    const change = await next(changes);
    if (change.event.taskId === taskId) return taken;
    taken.push(change);
  }
}

/** What of a history tells one change from another: `task:version`. */
export function names(changes: readonly TaskChange[]): string[] {
  return changes.map(({ event }) => `${event.taskId}:${event.version}`);
}

/** Those that are not 1 more than the version of their task before, or than `first` where there is none. */
export function outOfOrder(changes: readonly TaskChange[], first: number): string[] {
  const versions = new Map<string, number>();
  return names(
    changes.filter(({ event: { taskId, version } }) => {
      const before = versions.get(taskId) ?? first;
      versions.set(taskId, version);
      return version !== before + 1;
    }),
  );
}

/** The names of all changes after a seq, and before the latest. */
export async function namesAfter(sql: Sql, seq: bigint): Promise<string[]> {
  const rows = await sql.run<{ name: string }>(
    {
      text: `
select task_id || ':' || version as name from task_events
where seq > $1 and seq < (select max(seq) from task_events) order by seq`,
    },
    [seq],
  );
  return rows.map(({ name }) => name);
}

/** Applies transitions in a transaction that stays open until the test ends it. */
export async function applyOpenly(
  app: Pick<TestService, 'database' | 'broker'>,
  transitions: readonly Transition[],
) {
  const applied = Promise.withResolvers<TaskChange[]>();
  const ending = Promise.withResolvers<void>();
  const transaction = app.database.transaction(async (tx) => {
    applied.resolve(happened(await applyTransitions(tx, transitions)));
    await ending.promise;
  });
  const changes = await applied.promise;
  return {
    changes,
    async commit() {
      ending.resolve();
      await transaction;
      app.broker.publishEvents(changes);
    },
    async rollBack() {
      ending.reject(new Error('rolled back on purpose'));
      await transaction.catch(() => {});
    },
  };
}

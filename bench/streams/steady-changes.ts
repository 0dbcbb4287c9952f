import type { Task } from '../../src/domain/task.ts';
import type { Statement } from '../../src/store/sql.ts';
import { findTasks } from '../../src/store/task-queries.ts';
import { createAdvance } from '../../src/tasks/advance.ts';
import { sharedNow } from './commands.ts';
import type { Service } from './service.ts';
import { swing } from './swing.ts';

/**
 * Changes tasks at a steady pace, one by one, as the service itself does.
 * @param options.pick the task of the nth change; passed over while its last change is under way
 * @returns when the commit of each change was answered, by `task:version`
 */
export async function changeSteadily(
  { database, broker }: Service,
  options: {
    perSecond: number;
    seconds: number;
    tasks: readonly Task[];
    pick: (count: number) => Task;
  },
): Promise<Map<string, number>> {
  const { perSecond, seconds, tasks, pick } = options;
  const committedAt = new Map<string, number>();
  const ids = tasks.map(({ id }) => id);
  const present = new Map((await findTasks(database, ids)).map((task) => [task.id, task]));
  const underWay = new Set<Promise<void>>();
  const startedAt = performance.now();

  async function change(task: Task) {
    let at = 0;
    const advance = createAdvance({
      broker,
      sql: {
        async run<Row extends object>(statement: Statement, values?: readonly unknown[]) {
          const rows = await database.run<Row>(statement, values);
          at = sharedNow();
          return rows;
        },
      },
    });
    const [done] = await advance([swing(task)]);
    if (done === undefined) throw new Error(`${task.id} was changed by someone else.`);
    committedAt.set(`${task.id}:${done.task.version}`, at);
    present.set(task.id, done.task);
  }

  for (let count = 0; count < perSecond * seconds; count += 1) {
    const dueInMs = startedAt + (count / perSecond) * 1_000 - performance.now();
    if (dueInMs > 0) await new Promise((resolve) => setTimeout(resolve, dueInMs));
    const { id } = pick(count);
    const task = present.get(id);
    if (task === undefined) continue;
    present.delete(id);
    const work = change(task).finally(() => underWay.delete(work));
    underWay.add(work);
  }
  await Promise.all(underWay);
  return committedAt;
}

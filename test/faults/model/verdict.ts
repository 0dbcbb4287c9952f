import { audit, countOpen } from '../../support/audit.ts';
import { STORED_TASKS, type StoredTask } from '../../support/histories.ts';
import { type Book, type Entry, isKnown } from './book.ts';
import { collectDeadLetters } from './hostile-commands.ts';
import { type Deed, misdeeds } from './rules.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/**
 * How long the last task may take once all is whole. The longest is to wait for the row of a message whose transaction
 * was cut off: 18 s.
 */
const FINAL_WITHIN_MS = 60_000;
const RESENT = 'sent tasks again whose message was lost';

/** Waits until every task is final, and returns all that is wrong with any of them, in words. All must be whole. */
export async function verdict(world: World, book: Book): Promise<string[]> {
  await until(FINAL_WITHIN_MS, async () => (await countOpen(world.ledger.sql)) === 0);

  const entries = [...book.values()];
  const known = entries.filter(isKnown);
  const idsOf = (isMeant: (entry: Entry) => boolean) =>
    new Set(known.filter(isMeant).map(({ id }) => id));
  const { lost, stranded, breaches } = await audit(world.ledger.sql, {
    acknowledged: idsOf(() => true),
    cancelled: idsOf(({ cancels }) => cancels.granted > 0),
    retried: idsOf(({ retries }) => retries.granted > 0),
  });
  const tasks = await readDeeds(world);
  const wrong = [
    ...lost.map((id) => `acknowledged, and lost: ${id}`),
    ...stranded.map((words) => `stranded: ${words}`),
    ...breaches,
    ...tasks.flatMap((task) => misdeeds(task, book.get(task.title))),
    ...blame(world, tasks, await world.ledger.workers()),
    ...halves(entries, new Set(tasks.map(({ title }) => title))),
    ...(world.since.robbed ? [] : resent(world)),
    ...(await collectDeadLetters(world)),
    ...world.offences,
  ];
  // All is final, so nobody holds anything that could still be taken away for what happened before.
  world.cutOff.clear();
  Object.assign(world.since, { ms: Date.now(), harmed: false, robbed: false });
  return wrong;
}

/** More of each task than its history of statuses: with these reasons and that result. */
async function readDeeds(world: World): Promise<Deed[]> {
  const { rows } = await world.ledger.sql.query<StoredTask>(`${STORED_TASKS} order by t.id`);
  const text = `select t.id, t.title, t.result,
    array(select e.reason from task_events e where e.task_id = t.id order by e.version) as reasons from tasks t`;
  const more =
    await world.ledger.sql.query<Pick<Deed, 'id' | 'title' | 'result' | 'reasons'>>(text);
  const byId = new Map(more.rows.map((row) => [row.id, row]));
  return rows.flatMap((task) => {
    const rest = byId.get(task.id);
    return rest === undefined ? [] : [{ ...task, ...rest }];
  });
}

/** Only from a worker that was cut off may a run be taken, and only one that has to go, or never knew, gives it back. */
function blame(
  { cutOff, drained, since }: World,
  tasks: readonly Deed[],
  workers: readonly { id: string; pid: number }[],
): string[] {
  const pids = new Map(workers.map(({ id, pid }) => [id, pid]));
  return tasks.flatMap(({ id, history }) =>
    history.flatMap(({ version, outcome, workerId, at }) => {
      // Judged in the run in which it happened.
      if (Date.parse(at) < since.ms) return [];
      const pid = pids.get(workerId ?? '') ?? 0;
      if (outcome === 'WORKER_DIED' && !cutOff.has(pid)) {
        return [`version ${version} of ${id} was taken from a living worker (process ${pid})`];
      }
      if (outcome === 'RELEASED' && !drained.has(pid) && !cutOff.has(pid)) {
        return [`version ${version} of ${id} was given back without need (process ${pid})`];
      }
      return [];
    }),
  );
}

/** Calls of which some tasks are stored and some are not. */
function halves(entries: readonly Entry[], stored: ReadonlySet<string>): string[] {
  return [...Map.groupBy(entries, ({ call }) => call).values()]
    .filter((call) => new Set(call.map(({ order }) => stored.has(order.title))).size > 1)
    .map((call) => `only some were stored of: ${call.map(({ order }) => order.title).join('; ')}`);
}

/**
 * Messages that got lost though nobody took any away: one was acknowledged too early, say. No fault lasts long enough to
 * keep one from the workers until it only seems to be lost (10 s).
 */
function resent({ workers, since }: World): string[] {
  return workers
    .flatMap(({ processes }) => processes.flatMap(({ lines }) => lines))
    .filter(({ text, time }) => text.includes(RESENT) && Date.parse(String(time)) > since.ms)
    .map(({ text }) => `a message was lost: ${text}`);
}

import type { TaskPriority } from '../../../src/domain/task.ts';
import type { LinkFault, Member, Server } from './member.ts';
import { type Step, step } from './step.ts';
import { pause, until } from './until.ts';
import { memberAt, type Whom, type World } from './world.ts';

/** kill -9, when it has something to do; back after a while. */
export function crash(whom: Whom, backAfterMs: number): Step {
  return strike(`crash(${whom}, ${backAfterMs})`, whom, async (member, world) => {
    const holds = await untilItRuns(member, world);
    world.cutOff.add(member.pid);
    await member.crash();
    return {
      words: `held ${holds}`,
      async after(over) {
        await pause(backAfterMs, over);
        await member.start();
      },
    };
  });
}

/** SIGTERM, when it has something to give back; back when it is gone. */
export function drain(whom: Whom): Step {
  return strike(`drain(${whom})`, whom, async (member, world) => {
    const holds = await untilItRuns(member, world);
    world.drained.add(member.pid);
    const drained = member.drain();
    return {
      words: `held ${holds}`,
      async after() {
        await drained;
        await member.start();
      },
    };
  });
}

/** SIGSTOP for a while. */
export function suspend(whom: Whom, forMs: number): Step {
  return strike(`suspend(${whom}, ${forMs})`, whom, async (member, world) => {
    world.cutOff.add(member.pid);
    member.signal('SIGSTOP');
    return {
      words: 'stopped',
      async after(over) {
        await pause(forMs, over);
        member.signal('SIGCONT');
      },
    };
  });
}

/** Harms the way of one process, or of all, to a server for a while. */
export function harm(whom: Whom | 'ALL', server: Server, how: LinkFault, forMs: number): Step {
  return step(`harm(${whom}, ${server} ${how}, ${forMs})`, async (_model, world) => {
    const members = whom === 'ALL' ? [...world.apis, ...world.workers] : [memberAt(world, whom)];
    world.since.harmed = true;
    if (server === 'postgres') for (const { pid } of members) world.cutOff.add(pid);
    const struck = await Promise.all(members.map((member) => member.harm(server, how)));
    const harmed = members.filter((_member, index) => struck[index]);
    world.inBackground(async (over) => {
      if (how !== 'CUT') await pause(forMs, over);
      await Promise.all(harmed.map((member) => member.heal(server)));
    });
    return harmed.length === 0 ? 'is harmed already' : 'done';
  });
}

/** PostgreSQL ends every session of the service. */
export function endSessions(): Step {
  return step('endSessions', async (_model, world) => {
    world.since.harmed = true;
    for (const { pid } of world.workers) world.cutOff.add(pid);
    const { rowCount } = await world.ledger.sql.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name <> 'ledger'`,
    );
    return `${rowCount} ended`;
  });
}

/** Takes the messages of one queue away. */
export function rob(priority: TaskPriority, how: 'purgeQueue' | 'deleteQueue'): Step {
  return step(`rob(${priority}, ${how})`, async (_model, world) => {
    Object.assign(world.since, { harmed: true, robbed: true });
    await world.onRabbit((channel) => channel[how](world.names.taskQueue[priority]));
    return 'done';
  });
}

/** One thing at a time is done to a process. What comes `after` lasts while other commands run. */
function strike(
  words: string,
  whom: Whom,
  begin: (
    member: Member,
    world: World,
  ) => Promise<{ words: string; after: (over: AbortSignal) => Promise<void> }>,
): Step {
  return step(words, async (_model, world) => {
    const member = memberAt(world, whom);
    if (member.busy) return 'is busy';
    member.busy = true;
    world.since.harmed = true;
    const begun = await begin(member, world);
    world.inBackground(async (over) => {
      await begun.after(over);
      member.busy = false;
    });
    return begun.words;
  });
}

const BUSY_WITHIN_MS = 300;

/** Waits a little for a worker to run something. @returns how many tasks it runs */
async function untilItRuns(member: Member, world: World): Promise<number> {
  const text = `select count(*)::int as count from tasks t join workers w on w.id = t.worker_id
    where w.pid = $1 and t.status = 'IN_PROGRESS'`;
  let count = 0;
  await until(member.isWorker ? BUSY_WITHIN_MS : 0, async () => {
    const { rows } = await world.ledger.sql.query<{ count: number }>(text, [member.pid]);
    count = rows[0]?.count ?? 0;
    return count > 0;
  });
  return count;
}

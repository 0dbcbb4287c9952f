import { randomUUID } from 'node:crypto';
import { encodeTaskMessage } from '../../../src/broker/message-codec.ts';
import { TASK_PRIORITIES, type TaskError, type TaskPriority } from '../../../src/domain/task.ts';
import {
  type Claim,
  complete,
  condemn,
  fail,
  release,
  rescue,
  retryLater,
  type Transition,
} from '../../../src/domain/transitions.ts';
import { applyTransitions } from '../../../src/store/apply-transitions.ts';
import type { StoredEvent } from '../../support/histories.ts';
import { isFinal, type KnownEntry, type Model } from './book.ts';
import { Breach, type Step, step, stepOn } from './step.ts';
import { until } from './until.ts';
import { histories, wordsOf } from './witness.ts';
import type { World } from './world.ts';

const error: TaskError = { name: 'Late', message: 'too late', stack: null, attempt: 1 };
const failure = { error, outcome: 'FAILED' } as const;

/** What the holder of a claim may do with it. */
export const SETTLEMENTS = {
  complete: (claim) => complete(claim, 'too late'),
  fail: (claim) => fail(claim, failure),
  retryLater: (claim) => retryLater(claim, failure, 0),
  release,
  rescue: (claim) => rescue(claim, error),
  condemn: (claim) => condemn(claim, error),
} satisfies Record<string, (claim: Claim) => Transition>;

const LATER_RUN_WITHIN_MS = 600;

/**
 * Settles runs that are over, as a worker does that was asleep: of all tasks, and if there is one soon, of one that
 * runs again, which only the version of the claim protects.
 */
export function settleLate(how: keyof typeof SETTLEMENTS): Step {
  return step(
    `settleLate(${how})`,
    async (model, world) => {
      let claims: Claim[] = [];
      const runsAgain = await until(LATER_RUN_WITHIN_MS, async () => {
        const known = model.known();
        const all = await histories(world, known);
        claims = all.flatMap((history, index) => lostClaims(history, known[index]));
        return all.some((history) => isLaterRun(history));
      });
      for (const claim of claims) {
        const [change] = await applyTransitions(world.store, [SETTLEMENTS[how](claim)]);
        if (change === undefined) continue;
        const { taskId, version } = claim;
        throw new Breach(`the claim of version ${version} of ${taskId} changed it after its time`);
      }
      return `${claims.length} claims${runsAgain ? ', one of a task that runs again' : ''}`;
    },
    (model) => model.known().length > 0,
  );
}

function lostClaims(history: readonly StoredEvent[], entry: KnownEntry | undefined): Claim[] {
  if (entry === undefined) return [];
  return history
    .slice(0, -1)
    .filter(({ status }) => status === 'IN_PROGRESS')
    .map(({ version }) => ({ taskId: entry.id, version }));
}

function isLaterRun(history: readonly StoredEvent[]): boolean {
  const runs = history.filter(({ status }) => status === 'IN_PROGRESS');
  return history.at(-1)?.status === 'IN_PROGRESS' && runs.length > 1;
}

/** Sends a task's message again, also into a queue that is not its own. Whatever it does must be an allowed move. */
export function duplicate(pick: number, times: number, priority: TaskPriority | 'OWN'): Step {
  return stepOn(pick, `duplicate(${times} ${priority})`, async (entry, _model, world) => {
    const [history = []] = await histories(world, [entry]);
    const queue = priority === 'OWN' ? entry.order.priority : priority;
    const message = encodeTaskMessage({ id: entry.id, priority: queue });
    await publish(world, Array<[TaskPriority, Buffer]>(times).fill([queue, message]));
    return history.slice(-1).some(isFinal) ? 'final' : wordsOf(history.slice(-1));
  });
}

/** Messages of all tasks that are final. */
export function disturbTheDead(): Step {
  return step('disturbTheDead', async (model, world) => {
    const known = model.known();
    const all = await histories(world, known);
    const dead = known.filter((_entry, index) => all[index]?.slice(-1).some(isFinal));
    const messages = dead.map(({ id, order: { priority } }): [TaskPriority, Buffer] => [
      priority,
      encodeTaskMessage({ id, priority }),
    ]);
    await publish(world, messages);
    return `${dead.length} final tasks`;
  });
}

/** Messages about nothing: of unknown tasks, one of which may still come by its word, and ones that are none. */
export function babble(priority: TaskPriority): Step {
  return step(`babble(${priority})`, async (model: Model, world) => {
    const malformed = [`no message ${model.prefix}${model.next()}`, '{}', '{"id":"x"}'];
    for (const text of malformed) world.malformed.add(text);
    await publish(world, [
      ...malformed.map((text): [TaskPriority, Buffer] => [priority, Buffer.from(text)]),
      [priority, encodeTaskMessage({ id: randomUUID(), priority })],
      // As if its row had been stored 17 s ago: for a moment it is waited for.
      [priority, encodeTaskMessage({ id: randomUUID(), priority, storedAt: Date.now() - 17_000 })],
    ]);
    return 'sent';
  });
}

async function publish(world: World, messages: readonly [TaskPriority, Buffer][]): Promise<void> {
  await world.onRabbit(async (channel) => {
    for (const [priority, content] of messages) {
      channel.publish(world.names.tasksExchange, priority, content, { persistent: true });
    }
  });
}

/** What lies in the queue for messages that nobody can handle must be such; they are taken out. */
export async function collectDeadLetters(world: World): Promise<string[]> {
  const wrong: string[] = [];
  await world.onRabbit(async (channel) => {
    for (;;) {
      const message = await channel.get(world.names.dead, { noAck: true });
      if (message === false) return;
      const text = message.content.toString();
      if (!world.malformed.has(text)) wrong.push(`a good message was given up: ${text}`);
    }
  });
  return wrong;
}

export const QUEUES = [...TASK_PRIORITIES, 'OWN'] as const;

import { v7 as uuidv7 } from 'uuid';
import { onTestFinished } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { createRabbitBroker } from '../../src/broker/rabbit-broker.ts';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import { parseInput } from '../../src/domain/parse.ts';
import { TASK_PRIORITIES, type TaskChange } from '../../src/domain/task.ts';
import { claim, enqueue, release, type Transition } from '../../src/domain/transitions.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { insertTasks } from '../../src/store/insert-tasks.ts';
import { type Advance, createAdvance } from '../../src/tasks/advance.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { createLogLines } from './log-lines.ts';
import type { Stage } from './stage.ts';
import { applyOpenly } from './streams.ts';

/** Who changes tasks in the database and announces it, as a worker does, but as the test wants it. */
export interface ThirdParty {
  readonly database: Database;
  readonly broker: Broker;
  /** Applies and announces. */
  readonly advance: Advance;
  /** Applies and dies before it has announced anything. */
  readonly advanceUnheard: Advance;
  /** Tasks of all priorities by turns, the first one HIGH. */
  createTasks(count: number): Promise<TaskChange[]>;
}

export async function openThirdParty({ env }: Stage): Promise<ThirdParty> {
  const { log } = createLogLines();
  const database = openDatabase({ url: env.DATABASE_URL, log });
  onTestFinished(database.close);
  const url = new URL(env.RABBITMQ_URL);
  const namespace = url.searchParams.get('namespace') ?? undefined;
  url.searchParams.delete('namespace');
  const broker = createRabbitBroker({
    url: url.href,
    log,
    ...(namespace === undefined ? {} : { namespace }),
  });
  onTestFinished(broker.close);
  const ready = Promise.withResolvers<void>();
  broker.onReady(ready.resolve);
  if (!broker.ready) await ready.promise;

  return {
    database,
    broker,
    advance: createAdvance({ sql: database, broker }),
    advanceUnheard: createAdvance({ sql: database, broker: { ...broker, publishEvents() {} } }),
    async createTasks(count) {
      const task = parseInput(newTaskSchema(handlers), { title: 'a test' });
      const rows = Array.from({ length: count }, (_, index) => ({
        ...task,
        id: uuidv7(),
        priority: TASK_PRIORITIES[index % TASK_PRIORITIES.length] ?? 'LOW',
        inputHash: null,
      }));
      const changes = await insertTasks(database, rows, 'NEW');
      broker.publishEvents(changes);
      return changes;
    },
  };
}

/** Moves by which a task goes round without ever coming to an end, so that a stream of it goes on. */
export const ENDLESS_MOVES: readonly ((id: string) => Transition)[] = [
  enqueue,
  (id) => claim(id, WORKER),
  // Whoever holds the claim.
  (id) => ({ ...release({ taskId: id, version: 0 }), guard: { status: ['IN_PROGRESS'] } }),
];

const WORKER = '01890000-0000-7000-8000-00000000000f';

/**
 * Transactions that stay open while others change things, so that what they wrote commits after much that has a greater
 * seq. Each takes some of `ids`, which nobody else may touch; every third is rolled back.
 */
export function commitLate(
  party: Parameters<typeof applyOpenly>[0],
  { ids, each }: { ids: string[]; each: number },
) {
  let working = Promise.resolve();
  let open: Awaited<ReturnType<typeof applyOpenly>> | undefined;
  let [committed, rolledBack] = [0, 0];

  async function end() {
    if (open === undefined) return;
    if ((committed + rolledBack) % 3 < 2) {
      committed += 1;
      await open.commit();
    } else {
      rolledBack += 1;
      await open.rollBack();
    }
  }

  async function replace() {
    await end();
    const some = ids.splice(0, each);
    open = await applyOpenly(
      party,
      some.map((id) => enqueue(id)),
    );
  }

  return {
    /** Ends the open one, and opens the next. */
    turnOver() {
      working = working.then(replace);
      // Whoever awaits the end is told.
      working.catch(() => {});
    },
    /** Ends the last. @returns how many have committed */
    async end() {
      await working;
      await end();
      return committed;
    },
  };
}

/** The broker, but it loses announcements as `loses` says, and acts after every so many changes. */
export function announceBadly(
  broker: Broker,
  options: {
    every: number;
    act: (nth: number) => void;
    loses?: () => boolean;
    onChanges?: (count: number) => void;
  },
): Broker {
  const { every, act, loses = () => false, onChanges } = options;
  let [count, acts] = [0, 0];
  return {
    ...broker,
    publishEvents(changes) {
      count += changes.length;
      onChanges?.(changes.length);
      if (!loses()) broker.publishEvents(changes);
      while (acts < Math.floor(count / every)) act(++acts);
    },
  };
}

import type { Logger } from 'pino';
import type { Broker, TaskDelivery } from '../broker/broker.ts';
import type { TaskPriority } from '../domain/task.ts';
import { release } from '../domain/transitions.ts';
import type { Database } from '../store/database.ts';
import { timesGivenBack } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { type Advance, createAdvance } from '../tasks/advance.ts';
import { createAdvanceOne } from '../tasks/advance-one.ts';
import { startDispatcher } from './dispatcher.ts';
import { watchEventLoop } from './event-loop-lag.ts';
import { createExecutor } from './executor.ts';
import { startExpirer } from './expirer.ts';
import type { TaskHandlers } from './handler.ts';
import { startLiveness } from './liveness.ts';
import { createProgressWriter } from './progress-writer.ts';
import { startRescuer } from './rescuer.ts';
import { createRuns } from './runs.ts';

export interface Worker {
  /**
   * Stops taking tasks, lets those that run finish for the grace period, gives the rest back without using up an
   * attempt, and retires.
   */
  stop(graceMs: number): Promise<void>;
}

/**
 * Runs tasks: takes them from the queues, sends what is due, and looks after the tasks of workers that died.
 * Begins as soon as the database lets it announce itself.
 */
export async function startWorker(options: {
  database: Database;
  /** For heartbeats and rescues: connections of their own, so that no load can silence the worker. */
  vitals: Sql;
  databaseUrl: string;
  broker: Broker;
  advance: Advance;
  handlers: TaskHandlers;
  slots: Readonly<Record<TaskPriority, number>>;
  random: () => number;
  log: Logger;
}): Promise<Worker> {
  const { database, vitals, databaseUrl, broker, advance, handlers, slots, random, log } = options;
  const runs = createRuns();
  const executing = new Set<Promise<void>>();
  const upkeep = createAdvance({ sql: vitals, broker });
  const liveness = startLiveness({
    sql: vitals,
    databaseUrl,
    runs,
    // The answer to their claim got lost, or their outcome could not be stored.
    giveBack: async (strays) => {
      log.warn({ tasks: strays.length }, 'gives back tasks that it holds and does not run');
      await upkeep(strays.map(release));
      dispatcher.wake();
    },
    log,
  });
  const dispatcher = startDispatcher({ database, broker, log });
  const rescuer = startRescuer({
    sql: vitals,
    advance: upkeep,
    workerId: liveness.workerId,
    steadyForMs: liveness.steadyForMs,
    onRescued: dispatcher.wake,
    log,
  });
  const expirer = startExpirer({ sql: database, advance, log });
  const stopWatching = watchEventLoop({ runs, log });
  const cancellations = await broker.openCancellations({
    onCancelled({ event }) {
      const run = runs.get(event.taskId);
      if (run !== undefined && event.version > run.version) run.abort('CANCELLED');
    },
    // Announcements may have been missed.
    onGap: liveness.lookNow,
  });
  const execute = createExecutor({
    advance: createAdvanceOne({ sql: database, advance }),
    handlers,
    runs,
    progress: createProgressWriter({ sql: database, broker, log }),
    workerId: liveness.workerId,
    timesGivenBack: (taskId, reason) => timesGivenBack(database, taskId, reason),
    onDueAgain: dispatcher.wake,
    random,
    log,
  });

  function take(delivery: TaskDelivery) {
    const execution = execute(delivery)
      .catch((error: unknown) => log.error({ err: error }, 'an execution broke'))
      .finally(() => executing.delete(execution));
    executing.add(execution);
  }

  // Without an identity nothing can be claimed, so nothing is taken before there is one.
  const consumer = liveness.born.then(
    () => broker.consumeTasks({ slots, onTask: take }),
    () => undefined,
  );

  return {
    async stop(graceMs) {
      liveness.giveUpBirth();
      await (await consumer)?.stop();
      const grace = setTimeout(runs.shutDown, graceMs);
      while (executing.size > 0) await Promise.all(executing);
      clearTimeout(grace);
      stopWatching();
      await Promise.all([rescuer.stop(), expirer.stop(), cancellations.close()]);
      await liveness.stop();
      // Last, so that what was given back goes out at once.
      await dispatcher.stop();
    },
  };
}

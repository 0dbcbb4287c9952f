import { onTestFinished } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import { parseInput } from '../../src/domain/parse.ts';
import type { Task, TaskPriority, TaskStatus } from '../../src/domain/task.ts';
import type { TaskTypes } from '../../src/domain/task-types.ts';
import { createReleases } from '../../src/shutdown.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type Advance, createAdvance } from '../../src/tasks/advance.ts';
import { createTaskFeed, type TaskFeed } from '../../src/tasks/task-feed.ts';
import { createTaskService, type TaskService } from '../../src/tasks/task-service.ts';
import type { TaskHandlers } from '../../src/worker/handler.ts';
import { handlers as realHandlers } from '../../src/worker/handlers/registry.ts';
import { startWorker, type Worker } from '../../src/worker/worker.ts';
import { createLogLines } from './log-lines.ts';
import { createTestDatabase } from './test-database.ts';

/** The service in this process, on a database of its own. Everything is released when the test ends. */
export interface TestService {
  database: Database;
  databaseUrl: string;
  broker: Broker;
  advance: Advance;
  service: TaskService;
  feed: TaskFeed;
  logs: ReturnType<typeof createLogLines>;
  /** Starts a worker in this process. */
  startWorker(options?: {
    handlers?: TaskHandlers;
    slots?: Partial<Record<TaskPriority, number>>;
  }): Promise<Worker>;
  /** Creates a task from what a client would say. */
  create(input?: Record<string, unknown>): Promise<Task>;
  /** The statuses that a task goes through, from its present one to a final one. */
  follow(id: string): Promise<TaskStatus[]>;
}

export async function startTestService(
  options: { broker?: Broker; taskTypes?: TaskTypes } = {},
): Promise<TestService> {
  const { broker = createMemoryBroker(), taskTypes = realHandlers } = options;
  const logs = createLogLines();
  const { log } = logs;
  const releases = createReleases(log);
  onTestFinished(releases.run);

  const { url: databaseUrl, drop } = await createTestDatabase();
  releases.push('the test database', drop);
  const database = openDatabase({ url: databaseUrl, log });
  releases.push('the connections', database.close);
  releases.push('the broker', broker.close);
  const advance = createAdvance({ sql: database, broker });
  const service = createTaskService({ database, broker, advance });
  const feed = await createTaskFeed({ broker, sql: database, log });
  releases.push('the feed', feed.close);

  return {
    database,
    databaseUrl,
    broker,
    advance,
    service,
    feed,
    logs,
    async startWorker({ handlers = realHandlers, slots = {} } = {}) {
      const worker = await startWorker({
        database,
        vitals: database,
        databaseUrl,
        broker,
        advance,
        handlers,
        slots: { HIGH: 1, MEDIUM: 1, LOW: 1, ...slots },
        random: () => 0,
        log,
      });
      releases.push('the worker', () => worker.stop(0));
      return worker;
    },
    async create(input = {}) {
      const newTask = parseInput(newTaskSchema(taskTypes), { title: 'a test', ...input });
      return (await service.create(newTask)).task;
    },
    async follow(id) {
      const statuses: TaskStatus[] = [];
      for await (const { event } of await feed.watchTask(id)) statuses.push(event.status);
      return statuses;
    },
  };
}

import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Broker } from '../../src/broker/broker.ts';
import { createRabbitBroker } from '../../src/broker/rabbit-broker.ts';
import { parseConfig } from '../../src/config.ts';
import { newTaskSchema } from '../../src/domain/new-task.ts';
import type { Task, TaskChange, TaskPriority } from '../../src/domain/task.ts';
import type { Releases } from '../../src/shutdown.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { latestChange } from '../../src/store/event-queries.ts';
import { applyMigrations } from '../../src/store/migrate.ts';
import { createTaskCreator } from '../../src/tasks/create-tasks.ts';
import { cursorOf } from '../../src/tasks/cursor.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { openSpace } from '../../test/soak/space.ts';
import { type Child, startChild } from './child.ts';
import type { ProbeCommands } from './probe.ts';

/** What a scenario is given. */
export interface Stage {
  releases: Releases;
  log: Logger;
  /** Where the API processes leave their CPU profiles, if anywhere. */
  profileFolder: string | undefined;
}

/** The service in a database and a namespace of its own; this process is the one that changes tasks. */
export interface Service {
  database: Database;
  broker: Broker;
  startApi(): Promise<Api>;
  createTasks(count: number, priority?: TaskPriority): Promise<Task[]>;
  latestChange(taskId: string): Promise<TaskChange>;
  /** From where a subscription gets all that comes next; nothing may be changing meanwhile. */
  lastCursor(): Promise<string>;
}

export interface Api extends Child<ProbeCommands> {
  /** Of its GraphQL endpoint. */
  readonly url: string;
}

export async function openService({ releases, log, profileFolder }: Stage): Promise<Service> {
  const space = await openSpace(`bench_streams_${process.pid}`);
  releases.push('the space', space.drop, STOPPED_WITHIN_MS);
  const { databaseUrl, rabbitUrl } = space;
  await applyMigrations({ databaseUrl, log });
  const database = openDatabase({ url: databaseUrl, log, poolSize: 4 });
  releases.push('the connections', database.close);
  const { rabbitmqUrl = rabbitUrl, rabbitmqNamespace = '' } = parseConfig('api', {
    DATABASE_URL: databaseUrl,
    RABBITMQ_URL: rabbitUrl,
  });
  const broker = createRabbitBroker({ url: rabbitmqUrl, namespace: rabbitmqNamespace, log });
  releases.push('the broker', broker.close);
  await new Promise<void>((resolve) => broker.onReady(resolve));
  const create = createTaskCreator({ database, broker });
  const newTask = newTaskSchema(handlers);

  return {
    database,
    broker,
    async startApi() {
      const api = startChild<ProbeCommands>({
        script: 'src/main.ts',
        args: ['api'],
        execArgv: [
          '--max-semi-space-size=16',
          '--import',
          join(import.meta.dirname, 'probe.ts'),
          ...(profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]),
        ],
        env: { DATABASE_URL: databaseUrl, RABBITMQ_URL: rabbitUrl, PORT: '0' },
      });
      releases.push('the API', api.stop, STOPPED_WITHIN_MS);
      const { url }: { url: string } = JSON.parse(await api.said('"started"'));
      return { ...api, url: `${url}/graphql` };
    },
    async createTasks(count, priority = 'MEDIUM') {
      const input = newTask.parse({ title: 'a task to watch', priority });
      return (await create(new Array(count).fill(input))).map(({ task }) => task);
    },
    latestChange: changeOf,
    async lastCursor() {
      const text = 'select task_id as "taskId" from task_events order by seq desc limit 1';
      const [last] = await database.run<{ taskId: string }>({ text });
      return cursorOf(await changeOf(last?.taskId ?? ''));
    },
  };

  async function changeOf(taskId: string): Promise<TaskChange> {
    const change = await latestChange(database, taskId);
    if (change === undefined) throw new Error(`There is no task ${taskId}.`);
    return change;
  }
}

const STOPPED_WITHIN_MS = 30_000;

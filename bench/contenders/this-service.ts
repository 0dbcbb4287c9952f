import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type pg from 'pg';
import {
  type Api,
  type Contender,
  type CreateRequest,
  type Deployment,
  type Site,
  type StartOptions,
  TASK,
} from '../contender.ts';
import { createDatabase } from '../database.ts';
import { encodePost, openLightClient, type Request } from '../load/light-client.ts';
import type { Starts } from '../starts.ts';
import { type Child, startChild } from '../streams/child.ts';
import type { Commands } from '../streams/commands.ts';
import { claimNamespace } from './namespace.ts';
import { watchCompleted } from './watch-completed.ts';

/** Every figure of this service is with these: slots of each priority of the one worker. */
export const WORKER_CONCURRENCY = 'HIGH=1000,MEDIUM=1000,LOW=1000';

/** How one task is asked for. */
export const POST = {
  rest: { path: '/api/v1/tasks/', body: JSON.stringify(TASK), status: 201 },
  graphql: {
    path: '/graphql',
    body: JSON.stringify({
      query: 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }',
      variables: { input: TASK },
    }),
    status: 200,
  },
} as const satisfies Record<string, CreateRequest>;

export const thisServiceOverRest = contend('this service, REST', POST.rest);

export const thisServiceOverGraphql = contend('this service, GraphQL', POST.graphql);

export interface OwnDeployment extends Deployment {
  /** Its database. */
  sql: pg.Pool;
  startApi(options?: StartOptions): Promise<Api & Child<Record<never, never>>>;
  /** Creates tasks by `createTasks`, as many in each request as it says and so many requests at a time. */
  createInBulk(url: string, count: number, atATime: number): Promise<void>;
  /** Creates a task that does not start today. @returns its id */
  createLater(url: string): Promise<string>;
}

export async function deployThisService(site: Site, create: CreateRequest): Promise<OwnDeployment> {
  const { releases } = site;
  const { url: databaseUrl, sql } = await createDatabase(site);
  const rabbitUrl = claimNamespace(site);
  const env = {
    DATABASE_URL: databaseUrl,
    RABBITMQ_URL: rabbitUrl,
    LOG_LEVEL: 'warn',
    SHUTDOWN_GRACE_SECONDS: '0',
    WORKER_CONCURRENCY,
  };
  await promisify(execFile)(process.execPath, ['src/migrate.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, ...env },
  });

  function start<Own extends Commands>(
    role: 'api' | 'worker',
    execArgv: readonly string[],
    more: Record<string, string>,
  ): Child<Own> {
    const child = startChild<Own>({
      script: 'src/main.ts',
      args: [role],
      execArgv: ['--max-semi-space-size=16', ...execArgv],
      env: { ...env, ...more },
    });
    releases.push(`the ${role}`, child.stop, STOPPED_WITHIN_MS);
    return child;
  }

  async function startApi({
    execArgv = [],
  }: StartOptions = {}): Promise<Api & Child<Record<never, never>>> {
    const port = await freePort();
    const child = start<Record<never, never>>('api', execArgv, { PORT: String(port) });
    const url = `http://127.0.0.1:${port}`;
    await until(() => isHealthy(url), child);
    return { ...child, url };
  }

  async function createInBulk(url: string, count: number, atATime: number): Promise<void> {
    const full = encodeCreateTasks(url, BULK);
    let left = count;

    async function createNext() {
      const client = await openLightClient(url);
      while (left > 0) {
        const size = Math.min(BULK, left);
        left -= size;
        const body = await client.send(size === BULK ? full : encodeCreateTasks(url, size));
        if (!body.startsWith('{"data":{')) throw new Error(`createTasks: ${body.slice(0, 500)}`);
      }
      client.close();
    }

    await Promise.all(Array.from({ length: atATime }, createNext));
  }

  return {
    sql,
    create,
    startApi,
    async startWorker({ execArgv = [] }: StartOptions = {}) {
      const probe = ['--import', join(import.meta.dirname, 'simulate-starts.ts')];
      const worker = start<Starts>('worker', [...probe, ...execArgv], {});
      const born = 'select from workers where heartbeat_at is not null and pid = $1';
      await until(async () => (await sql.query(born, [worker.pid])).rowCount !== 0, worker);
      return worker;
    },
    createInBulk,
    async createLater(url) {
      const client = await openLightClient(url);
      const run_at = new Date(Date.now() + A_DAY_MS);
      const body = JSON.stringify({ ...TASK, run_at });
      const answer = await client.send(encodePost({ url, ...POST.rest, body }));
      client.close();
      const { id }: { id: string } = JSON.parse(answer);
      return id;
    },
    async enqueue(count) {
      // The planner must not know how many there are: so it is in the minutes after a burst.
      await sql.query('alter table tasks set (autovacuum_enabled = false)');
      await sql.query('alter table task_events set (autovacuum_enabled = false)');
      const api = await startApi();
      await createInBulk(api.url, count, 4);
      await api.stop();
    },
    async hasOpen() {
      const open = "select from tasks where status in ('NEW', 'PENDING', 'IN_PROGRESS') limit 1";
      return (await sql.query(open)).rowCount !== 0;
    },
    async completed() {
      const { rows } = await sql.query<{ count: number; at: Date }>(
        "select count(*)::int as count, max(finished_at) as at from tasks where status = 'COMPLETED'",
      );
      return { count: rows[0]?.count ?? 0, lastAt: Number(rows[0]?.at) };
    },
    watch: ({ url }) => watchCompleted(url, releases),
  };
}

/** Tasks in a request of `createTasks`: as many as it takes. */
const BULK = 1_000;
const STOPPED_WITHIN_MS = 30_000;
const A_DAY_MS = 86_400_000;

function contend(name: string, create: CreateRequest): Contender {
  return {
    name,
    needs: ['PostgreSQL', 'RabbitMQ'],
    deploy: (site) => deployThisService(site, create),
  };
}

/** Others may take it in between, which has not been seen yet. */
async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('It has no port.');
  return address.port;
}

async function isHealthy(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/health`).catch(() => undefined);
  const { status } = ((await answer?.json()) ?? {}) as { status?: boolean };
  return status === true;
}

/** @throws when the process ends before it is so */
async function until(isSo: () => Promise<boolean>, child: Pick<Child<Commands>, 'hasEnded'>) {
  while (!(await isSo())) {
    if (child.hasEnded()) throw new Error('A process of this service has ended.');
    await pause(20);
  }
}

function encodeCreateTasks(url: string, count: number): Request {
  const body = JSON.stringify({
    query: 'mutation ($input: [CreateTaskInput!]!) { createTasks(input: $input) { id } }',
    variables: { input: new Array(count).fill(TASK) },
  });
  return encodePost({ url, ...POST.graphql, body });
}

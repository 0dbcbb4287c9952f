/**
 * `make bench`: how much one API and one worker process get done on this machine, over real HTTP.
 *
 * Uses the servers of DATABASE_URL and RABBITMQ_URL, each in a space of its own that is left behind empty-handed: a
 * fresh database and a namespace. Prints one line per scenario; compare them with each other, not between machines.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';
import amqp from 'amqplib';
import pg from 'pg';
import { rabbitNames } from '../../src/broker/rabbit-names.ts';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '5000' },
    connections: { type: 'string', default: '50' },
    port: { type: 'string', default: '8099' },
  },
});
const tasks = Number(values.tasks);
const connections = Number(values.connections);
const agent = new Agent({ keepAlive: true, maxSockets: connections });

const name = `bench_${process.pid}`;
const server = process.env.DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
const rabbit = process.env.RABBITMQ_URL ?? 'amqp://guest:guest@127.0.0.1:5672';
const databaseUrl = Object.assign(new URL(server), { pathname: `/${name}` }).href;
const env = {
  ...process.env,
  DATABASE_URL: databaseUrl,
  RABBITMQ_URL: `${rabbit}?namespace=${name}`,
  PORT: values.port,
  LOG_LEVEL: 'warn',
  WORKER_CONCURRENCY: 'HIGH=100,MEDIUM=100,LOW=100',
};

const admin = new pg.Client({ connectionString: server });
await admin.connect();
await admin.query(`create database ${name}`);
const children: ChildProcess[] = [];
try {
  await once(start('src/migrate.ts'), 'exit');
  const api = start('src/main.ts', 'api');
  await untilReady();
  await scenario('create over REST, worker off', rest, false);
  await scenario('create over GraphQL, worker off', graphql, false);
  start('src/main.ts', 'worker');
  await untilDone();
  await scenario('create over REST → COMPLETED', rest, true);
  await scenario('create over GraphQL → COMPLETED', graphql, true);
  process.stdout.write(`memory of the API: ${await residentMiB(api)} MiB\n`);
} finally {
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')));
  await admin.query(`drop database ${name} with (force)`);
  await admin.end();
  await cleanRabbit();
}

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['--max-semi-space-size=16', ...args], {
    env,
    stdio: 'inherit',
  });
  children.push(child);
  return child;
}

async function scenario(title: string, create: () => Promise<void>, toTheEnd: boolean) {
  const latencies: number[] = [];
  let left = tasks;
  const started = performance.now();
  async function client() {
    while (left-- > 0) {
      const sent = performance.now();
      await create();
      latencies.push(performance.now() - sent);
    }
  }
  await Promise.all(Array.from({ length: connections }, client));
  const createdMs = performance.now() - started;
  if (toTheEnd) await untilDone();
  const totalMs = performance.now() - started;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)]?.toFixed(1);
  const done = toTheEnd ? `, ${perSecond(totalMs)} completed/s` : '';
  const line = `${perSecond(createdMs)} created/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms${done}`;
  process.stdout.write(`${title.padEnd(34)} ${line}\n`);
}

function perSecond(ms: number): string {
  return Math.round((tasks / ms) * 1_000).toLocaleString('en-US');
}

function rest(): Promise<void> {
  return post('/api/v1/tasks/', { title: 'bench', payload: { durationMs: 0 } }, 201);
}

function graphql(): Promise<void> {
  return post(
    '/graphql',
    {
      query: 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }',
      variables: { input: { title: 'bench', payload: { durationMs: 0 } } },
    },
    200,
  );
}

function post(path: string, body: unknown, expected: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { 'content-type': 'application/json' };
  const options = { agent, port: values.port, path, method: 'POST', headers };
  const sending = request(options, (answer) => {
    answer.resume();
    answer.on('end', () => {
      if (answer.statusCode === expected) resolve();
      else reject(new Error(`${path} answered ${answer.statusCode}`));
    });
  });
  sending.on('error', reject);
  sending.end(JSON.stringify(body));
  return promise;
}

async function untilReady() {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${values.port}/health`).catch(() => undefined);
    const { status } = ((await answer?.json()) ?? {}) as { status?: boolean };
    if (status === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function untilDone() {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const open = "select from tasks where status in ('NEW', 'PENDING', 'IN_PROGRESS') limit 1";
  while ((await client.query(open)).rowCount !== 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await client.end();
}

async function residentMiB({ pid }: ChildProcess): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const [, kib] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kib) / 1024);
}

async function cleanRabbit() {
  const connection = await amqp.connect(rabbit);
  const channel = await connection.createChannel();
  const { tasksExchange, taskQueue, dead, eventsExchange } = rabbitNames(name);
  for (const queue of [...Object.values(taskQueue), dead]) await channel.deleteQueue(queue);
  for (const exchange of [tasksExchange, dead, eventsExchange]) {
    await channel.deleteExchange(exchange);
  }
  await connection.close();
}

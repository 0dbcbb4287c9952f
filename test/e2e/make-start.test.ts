import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test, vi } from 'vitest';
import { subscribeByWebSocket } from '../support/graphql-client.ts';
import { report } from '../support/measure.ts';
import { createTask, request } from '../support/rest-calls.ts';
import { spawnService, startApi } from '../support/service-process.ts';

const run = promisify(execFile);

test('with nothing set, it starts, does what it prints, ends on Ctrl-C, and keeps its data', async () => {
  const checkout = await copyCheckout();
  const startedAt = performance.now();
  const first = await startAll(checkout);
  report(`first start to first answer: ${Math.round(performance.now() - startedAt)} ms`);

  const { text } = await first.said('curl -X POST');
  const { stdout } = await run('sh', ['-c', text.replace(/^ *Try it: */, '')]);
  const created: { id: string; priority: string; status: string } = JSON.parse(stdout);
  expect(created).toMatchObject({ title: 'Hello', priority: 'HIGH', status: 'PENDING' });
  const { id } = created;
  const statuses = await statusesOf(first.url, id);
  expect(statuses.length).toBeGreaterThanOrEqual(2);
  expect(statuses).toEqual(['PENDING', 'IN_PROGRESS', 'COMPLETED'].slice(-statuses.length));

  const interruptedAt = performance.now();
  first.killGroup('SIGINT');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  expect(await serversOf(checkout)).toEqual([]);
  expect(performance.now() - interruptedAt).toBeLessThan(10_000);

  const againAt = performance.now();
  const second = await startAll(checkout);
  report(`next start to first answer: ${Math.round(performance.now() - againAt)} ms`);
  const { body } = await request(second.url, 'GET', `/api/v1/tasks/${id}`);
  expect(body).toMatchObject({ id, title: 'Hello', status: 'COMPLETED' });
}, 60_000);

test('Ctrl-C and kill -9 in the middle of a task: it goes on after the next start', async () => {
  const checkout = await copyCheckout();
  const first = await startAll(checkout);
  const { id } = await createTask(first.url, { payload: { durationMs: 600_000 } });
  await until(first.url, id, { status: 'IN_PROGRESS', attempt: 1 });
  const interruptedAt = performance.now();
  first.killGroup('SIGINT');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - interruptedAt).toBeLessThan(10_000);
  expect(await serversOf(checkout)).toEqual([]);

  const second = await startAll(checkout);
  await until(second.url, id, { status: 'IN_PROGRESS', attempt: 1 });
  second.kill('SIGKILL');
  await second.exited;

  const third = await startAll(checkout);
  await until(third.url, id, { status: 'IN_PROGRESS', attempt: 2 });
}, 90_000);

test('a port that is taken is said in one sentence, and nothing is left behind', async () => {
  const checkout = await copyCheckout();
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const service = spawnService('all', { checkout, env: { PORT: String(port) } });
  expect(await service.exited).toEqual({ code: 1, signal: null });
  const { text } = await service.said('is taken');
  expect(text).toContain(`Port ${port} is taken. Stop what uses it, or set PORT=${port + 1}.`);
  expect(await serversOf(checkout)).toEqual([]);
}, 30_000);

test('a wrong environment is reported whole, and without a stack', async () => {
  const wrong = {
    DATABASE_URL: 'mysql://root@localhost/tasks',
    RABBITMQ_URL: 'localhost:5672',
    PORT: 'http',
    LOG_LEVEL: 'loud',
    WORKER_CONCURRENCY: 'HIGH=many',
    SHUTDOWN_GRACE_SECONDS: 'soon',
  };
  const service = spawnService('all', { env: wrong });
  expect(await service.exited).toEqual({ code: 1, signal: null });
  const [headline, ...lines] = service.lines.map(({ text }) => text);
  expect(headline).toBe('The environment is not right:');
  expect(lines.map((line) => line.split(' ')[0]).sort()).toEqual(Object.keys(wrong).sort());
  for (const line of lines) expect(line).toMatch(/^[A-Z_]+ must .+\.$/);
});

test('a worker reports what is missing together with what is wrong', async () => {
  const service = spawnService('worker', { env: { PORT: 'http' } });
  expect(await service.exited).toEqual({ code: 1, signal: null });
  const names = service.lines.slice(1).map(({ text }) => text.split(' ')[0]);
  expect(names.sort()).toEqual(['DATABASE_URL', 'PORT', 'RABBITMQ_URL']);
});

function startAll(checkout: string) {
  return startApi({ role: 'all', checkout });
}

/** A checkout of its own: the developer's `.data/` and `.env` stay out of it. */
async function copyCheckout(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'async-task-manager-e2e-'));
  onTestFinished(async () => {
    // The server of a killed run is on its way out, and still writes.
    await vi.waitFor(async () => expect(await serversOf(copy)).toEqual([]), WAIT);
    await rm(copy, { recursive: true, force: true });
  });
  // Whoever PostgreSQL runs as has to get in, or its data would be kept elsewhere.
  await chmod(copy, 0o755);
  const source = join(import.meta.dirname, '../..');
  for (const name of ['src', 'prisma', 'package.json', 'prisma.config.ts']) {
    await cp(join(source, name), join(copy, name), { recursive: true });
  }
  await symlink(join(source, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** The command lines of all PostgreSQL processes that run on the data of this copy. */
async function serversOf(checkout: string): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    processes.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return commands.filter((command) => command.includes('postgres') && command.includes(checkout));
}

async function statusesOf(url: string, id: string): Promise<string[]> {
  const query = `subscription { taskStatusChanged(id: "${id}") { status } }`;
  const statuses: string[] = [];
  const { stream } = subscribeByWebSocket<{ taskStatusChanged: { status: string } }>(url, {
    query,
  });
  for await (const { taskStatusChanged } of stream) statuses.push(taskStatusChanged.status);
  return statuses;
}

function until(url: string, id: string, expected: object): Promise<unknown> {
  return vi.waitFor(async () => {
    const { body } = await request(url, 'GET', `/api/v1/tasks/${id}`);
    expect(body).toMatchObject(expected);
  }, WAIT);
}

const WAIT = { timeout: 20_000, interval: 50 };

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { chromium } from 'playwright-core';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { openFront } from '../support/front.ts';
import { cursorOf } from '../support/graphql-client.ts';
import { openLedger } from '../support/ledger.ts';
import { eventSourceClient, graphqlWsClient } from '../support/readme-clients.ts';
import { createTask } from '../support/rest-calls.ts';
import { startApi } from '../support/service-process.ts';
import { setLink } from '../support/stage.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { createTold, type Told, versionsOf, versionsTold } from '../support/told.ts';

test('in a page of another origin clients see every change once, across cuts, restarts and outages', async () => {
  const { url: databaseUrl, drop } = await createTestDatabase();
  onTestFinished(drop);
  const ledger = openLedger(databaseUrl);
  const database = await setLink(databaseUrl);
  const env = { DATABASE_URL: database.url };
  const api = await startApi({ role: 'all', env });
  const front = await openFront(api.url);
  const run_at = new Date(Date.now() + 3_600_000).toISOString();
  const { id } = await createTask(api.url, { run_at });
  const watched = { url: front.url, after: await cursorOf(api.url, id) };
  const { clients, statuses } = await openPage([
    graphqlWsClient(watched),
    eventSourceClient(watched),
  ]);

  for (let cut = 1; cut <= 2; cut += 1) {
    await front.reached(clients.length);
    const running = runTasks(api.url);
    front.cut();
    await running;
  }
  api.kill('SIGKILL');
  const { port: PORT } = new URL(api.url);
  await front.lead(api.url, () => startApi({ role: 'all', env: { ...env, PORT } }));
  await runTasks(api.url);

  await front.reached(clients.length);
  await database.refuse();
  front.cut();
  const refusals = () => [...clients.flatMap((client) => client.refusals.all), ...statuses];
  await vi.waitFor(
    () => expect(refusals()).toEqual(expect.arrayContaining(['SERVICE_UNAVAILABLE', '503'])),
    WAIT,
  );
  await database.heal();
  await vi.waitFor(() => runTasks(api.url), WAIT);

  await vi.waitFor(async () => {
    // All but the first, which was there before.
    const tasks = (await ledger.tasks()).slice(1);
    expect(tasks.filter(({ status }) => status !== 'COMPLETED')).toEqual([]);
    const all = versionsOf(tasks);
    expect(clients.map(versionsTold)).toEqual(clients.map(() => all));
  }, WAIT);
  expect(clients.flatMap(({ ends }) => ends.all)).toEqual([]);
}, 90_000);

const WAIT = { timeout: 30_000, interval: 100 };

/** A page that runs these scripts: what each is told, and the statuses of all answers that the page gets. */
async function openPage(scripts: string[]): Promise<{ clients: Told[]; statuses: string[] }> {
  const origin = await servePage(scripts);
  const executablePath = inject('services').chromium;
  if (executablePath === undefined) throw new Error('No Chromium: apt-get install chromium.');
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run'];
  const browser = await chromium.launch({ executablePath, args });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const statuses: string[] = [];
  page.on('response', (response) => statuses.push(String(response.status())));
  const clients = scripts.map(createTold);
  await page.exposeFunction('tellOf', (index: number, to: keyof Told, what: never) =>
    clients[index]?.tell(to, what),
  );
  await page.goto(origin);
  return { clients, statuses };
}

/** @returns the origin of the page, which has the package graphql-ws */
async function servePage(scripts: string[]): Promise<string> {
  const server = createServer(async ({ url = '/' }, response) => {
    if (url === '/') return response.setHeader('content-type', 'text/html').end(page);
    const file = new URL(basename(url), import.meta.resolve('graphql-ws'));
    response.setHeader('content-type', 'text/javascript').end(await readFile(file));
  });
  const modules = scripts.map((script, index) => {
    const tell = `const tell = (to, what) => tellOf(${index}, to, what);`;
    return `<script type="module">${tell}\n${script}</script>`;
  });
  const page = `<!doctype html>
<link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "graphql-ws": "/client.js" } }</script>
${modules.join('\n')}`;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function runTasks(url: string): Promise<void> {
  const payload = { durationMs: 20 };
  await Promise.all(Array.from({ length: 4 }, () => createTask(url, { payload })));
}

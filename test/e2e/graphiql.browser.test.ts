import { chromium, type Page } from 'playwright-core';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { cancelTask, createTask } from '../support/rest-calls.ts';
import { startApi } from '../support/service-process.ts';
import { createTestDatabase } from '../support/test-database.ts';

test('GraphiQL creates a task, shows another one change live, and asks nobody else for anything', async () => {
  const { url: databaseUrl, drop } = await createTestDatabase();
  onTestFinished(drop);
  const { url } = await startApi({ role: 'all', env: { DATABASE_URL: databaseUrl } });
  const { page, elsewhere } = await openPage(url);

  await page.goto(`${url}/graphql`);
  const tabs = page.locator('.graphiql-tab-button');
  await tabs.first().waitFor();
  expect(await tabs.allTextContents()).toEqual(['Create', 'List', 'Watch', 'Cancel']);
  await page.locator('.graphiql-execute-button').click();
  await resultWith(page, '"PENDING"');

  const { id } = await createTask(url, { priority: 'LOW', payload: { durationMs: 600_000 } });
  await openTab(page, 'Watch');
  await write(
    page,
    `subscription Watch { taskStatusChanged(id: "${id}") { taskId version status } }`,
  );
  await subscribe(page);
  await resultWith(page, '"IN_PROGRESS"');
  await cancelTask(url, id);
  await resultWith(page, '"CANCELLED"');
  const shown = await page.locator('.result-window').textContent();
  expect(shown).toContain(id);
  expect(elsewhere).toEqual([]);

  const path = process.env.SCREENSHOT;
  if (path) await takePicture(url, path);
}, 180_000);

/** A page of a browser that does nothing by itself, and what that page asked others than `url` for. */
async function openPage(url: string) {
  const executablePath = inject('services').chromium;
  if (executablePath === undefined) throw new Error('No Chromium: apt-get install chromium.');
  const browser = await chromium.launch({ executablePath, args: BROWSER_ARGS });
  onTestFinished(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1_400, height: 900 } });
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (!['data:', 'blob:'].includes(protocol) && origin !== url) elsewhere.push(request.url());
  });
  return { page, elsewhere };
}

const BROWSER_ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

async function openTab(page: Page, name: string): Promise<void> {
  await page.locator('.graphiql-tab-button', { hasText: name }).click();
  await page.locator('.graphiql-tab-active', { hasText: name }).waitFor();
}

/** Replaces the text of the editor. */
async function write(page: Page, text: string): Promise<void> {
  await page.locator('.graphiql-query-editor .view-lines').click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText(text);
}

/** Runs what the active tab subscribes to. */
async function subscribe(page: Page): Promise<void> {
  // For a moment GraphiQL still runs what stood there before, which opens no socket. People are not that quick.
  await vi.waitFor(
    () =>
      Promise.all([
        page.waitForEvent('websocket', { timeout: 1_000 }),
        page.locator('.graphiql-execute-button').click(),
      ]),
    { timeout: 15_000 },
  );
}

async function resultWith(page: Page, text: string): Promise<void> {
  await page.locator('.result-window', { hasText: text }).waitFor({ timeout: 15_000 });
}

/** The example subscription at work, for the README. */
async function takePicture(url: string, path: string): Promise<void> {
  const { page } = await openPage(url);
  await page.goto(`${url}/graphql`);
  await openTab(page, 'Watch');
  await subscribe(page);
  await createTask(url, { title: 'Send the newsletter', priority: 'HIGH' });
  await resultWith(page, '"COMPLETED"');
  await page.screenshot({ path });
}

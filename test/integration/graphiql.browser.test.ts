import { chromium } from 'playwright-core';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { startGraphqlApi } from '../support/graphql-api.ts';

test('GraphiQL opens with working examples in tabs, and asks nobody else for anything', async () => {
  const { url } = await startGraphqlApi();
  const executablePath = inject('services').chromium ?? '';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    const own = ['blob:', 'data:', new URL(url).origin];
    if (!own.some((start) => request.url().startsWith(start))) elsewhere.push(request.url());
  });

  async function run(tab: string, outcome: () => Promise<unknown>): Promise<void> {
    await page.locator('.graphiql-tab-button', { hasText: tab }).click();
    await page.locator('.graphiql-tab-active', { hasText: tab }).waitFor();
    // For a moment, GraphiQL still runs the operation of the tab from before. People are not that quick.
    const press = async () => {
      await Promise.all([outcome(), page.locator('.graphiql-execute-button').click()]);
    };
    await vi.waitFor(press, { timeout: 10_000 });
  }
  const answer = (text: string) => () => {
    return page.locator('.result-window', { hasText: text }).waitFor({ timeout: 1_000 });
  };

  await page.goto(url);
  expect(await page.title()).toBe('async-task-manager');
  await run('Create', answer('PENDING'));
  await run('List', answer('totalCount'));
  await run('Cancel', answer('TASK_NOT_FOUND'));
  await run('Watch', () => page.waitForEvent('websocket', { timeout: 1_000 }));
  expect(elsewhere).toEqual([]);
});

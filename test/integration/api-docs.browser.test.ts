import { chromium } from 'playwright-core';
import { expect, inject, onTestFinished, test } from 'vitest';
import { apiDocs } from '../../src/http/api-docs.ts';
import { handlers } from '../../src/worker/handlers/registry.ts';
import { startRest } from '../support/rest-client.ts';

test('Swagger UI loads nothing from elsewhere, and creates a task when asked to', async () => {
  const rest = await startRest({ plugins: [apiDocs({ taskTypes: handlers })] });
  const origin = await rest.app.listen({ host: '127.0.0.1', port: 0 });
  const executablePath = inject('services').chromium;
  const browser = await chromium.launch({
    ...(executablePath && { executablePath }),
    args: ['--no-sandbox', '--disable-gpu'],
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const elsewhere: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol !== 'data:' && to !== origin) elsewhere.push(request.url());
  });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });

  await page.goto(`${origin}/docs`);
  const operation = page.locator('#operations-Tasks-createTask');
  await operation.locator('.opblock-summary-control').click();
  await operation.locator('button.execute').click();
  const status = operation.locator('.live-responses-table .response .response-col_status');
  await status.waitFor();

  expect(await status.textContent()).toContain('201');
  expect(await rest.service.count({})).toBe(1);
  expect(elsewhere).toEqual([]);
  expect(complaints).toEqual([]);
});

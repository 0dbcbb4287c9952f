import { fastify } from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { landingPage } from '../../src/dashboard/landing-page.ts';

test('the landing page links to every part and loads nothing from anywhere', async () => {
  const { body, headers } = await get('localhost:8000');
  for (const path of ['/graphql', '/docs', '/openapi.json', '/health']) {
    expect(body).toContain(`href="${path}"`);
  }
  expect(body).not.toMatch(/(src|href)="(https?:)?\/\//);
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'/);
});

test('the landing page shows a curl example for the host under which it was asked for', async () => {
  expect((await get('tasks.example:81')).body).toContain('curl -s tasks.example:81/api/v1/tasks/');
  expect((await get('<script>alert(1)</script>')).body).not.toContain('<script>');
});

async function get(host: string) {
  const app = fastify();
  onTestFinished(() => app.close());
  app.register(landingPage());
  return app.inject({ url: '/', headers: { host } });
}

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { buildSchema, parse, validate } from 'graphql';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { startApi } from '../support/service-process.ts';
import { createTestDatabase } from '../support/test-database.ts';

const run = promisify(execFile);
const readme = readFileSync('README.md', 'utf8');

let url: string;

beforeEach(async () => {
  const { url: DATABASE_URL, drop } = await createTestDatabase();
  onTestFinished(drop);
  ({ url } = await startApi({ role: 'all', env: { DATABASE_URL } }));
});

test('the curl commands of the README work, one after the other', async () => {
  const commands = blocks('sh').filter((block) => block.includes('curl'));
  expect(commands).toHaveLength(3);
  const script = [
    'set -euo pipefail',
    'curl() { command curl --fail-with-body --silent --show-error --max-time 15 "$@"; echo; }',
    ...commands.map((block) => block.replaceAll('http://localhost:8000', url)),
  ];
  const { stdout } = await run('bash', ['-c', script.join('\n')]);
  for (const said of ['"Render the report"', '"CANCELLED"', '"Send the invoice"', 'event: next']) {
    expect(stdout).toContain(said);
  }
});

test('the JavaScript of the README watches a task to its end', async () => {
  const [client] = blocks('js');
  const created = await fetch(`${url}/api/v1/tasks/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'watch me', payload: { durationMs: 100 } }),
  });
  const { id } = (await created.json()) as { id: string };
  const script = `const id = '${id}';${String(client).replace('ws://localhost:8000', url.replace('http', 'ws'))}`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout.trim().split('\n').at(-1)).toBe('COMPLETED');
});

test('the GraphQL of the README is valid', () => {
  const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));
  const documents = blocks('graphql');
  expect(documents).toHaveLength(3);
  for (const document of documents) expect(validate(schema, parse(document))).toEqual([]);
});

test('every file that the README links to exists', () => {
  const links = [...readme.matchAll(/\]\(([^):]+)\)/g)].map(([, path]) => String(path));
  expect(links.filter((path) => !existsSync(path))).toEqual([]);
});

/** The fenced blocks of one language. */
function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms');
  return [...readme.matchAll(fence)].map(([, text]) => String(text));
}

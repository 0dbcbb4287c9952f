import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { buildSchema, parse, validate } from 'graphql';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { blocks, readme, snippet } from '../support/readme.ts';
import { createTask } from '../support/rest-calls.ts';
import { startApi } from '../support/service-process.ts';
import { createTestDatabase } from '../support/test-database.ts';

const run = promisify(execFile);

let url: string;

beforeEach(async () => {
  const { url: DATABASE_URL, drop } = await createTestDatabase();
  onTestFinished(drop);
  ({ url } = await startApi({ role: 'all', env: { DATABASE_URL } }));
});

test('the curl commands of the README work, one after the other', async () => {
  const commands = blocks('sh').filter((block) => block.includes('curl'));
  expect(commands).toHaveLength(4);
  const script = [
    'set -euo pipefail',
    'curl() { command curl --fail-with-body --silent --show-error --max-time 15 "$@"; echo; }',
    ...commands.map((block) => block.replaceAll('http://localhost:8000', url)),
  ];
  const { stdout } = await run('bash', ['-c', script.join('\n')]);
  for (const said of [
    '"Render the report"',
    '"CANCELLED"',
    '"Send the invoice"',
    'data: {"cursor":',
    '"status":"COMPLETED"',
    'event: next',
  ]) {
    expect(stdout).toContain(said);
  }
});

test.each([
  [
    'graphql-ws',
    ['createClient', 'function watch(', 'data?.taskStatusChanged'],
    'COMPLETED\nThat was all.',
  ],
  ['EventSource', ['new EventSource', 'watchEvents(`'], 'COMPLETED'],
])(
  'the JavaScript of the README watches a task to its end, and ends: %s',
  async (_what, said, last) => {
    const { id } = await createTask(url, { payload: { durationMs: 100 } });
    const script = [
      "import { EventSource } from 'eventsource';",
      'globalThis.EventSource = EventSource;',
      `const id = '${id}';`,
      ...said.map((words) => snippet(words, url)),
    ];
    const { stdout } = await run(process.execPath, [
      '--input-type=module',
      '--eval',
      script.join('\n'),
    ]);
    expect(`\n${stdout}`).toMatch(new RegExp(`\\n${last}\\n$`));
  },
);

test('the GraphQL of the README is valid', () => {
  const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));
  const documents = blocks('graphql');
  expect(documents).toHaveLength(4);
  for (const document of documents) expect(validate(schema, parse(document))).toEqual([]);
});

test('every file that the README links to exists', () => {
  const links = [...readme.matchAll(/\]\(([^):]+)\)/g)].map(([, path]) => String(path));
  expect(links.filter((path) => !existsSync(path))).toEqual([]);
});

import { describe, expect, test } from 'vitest';
import { type Answer, type RestClient, startRest, TASKS } from '../support/rest-client.ts';
import type { TestService } from '../support/test-service.ts';

type Path = (string | number)[];

const DAY_MS = 24 * 60 * 60 * 1_000;
const inTwoYears = new Date(Date.now() + 2 * 365 * DAY_MS).toISOString();
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('a bad task', () => {
  const bodies: [string, unknown, ...Path[]][] = [
    ['an empty title', { title: '' }, ['title']],
    ['a blank title', { title: ' \t\n' }, ['title']],
    ['no title', {}, ['title']],
    ['a null title', { title: null }, ['title']],
    ['a number as title', { title: 7 }, ['title']],
    ['a title over 255 characters', { title: 'x'.repeat(256) }, ['title']],
    ['a NUL in the title', { title: 'a\0b' }, ['title']],
    ['half a surrogate pair in the title', '{"title":"a\\ud83d"}', ['title']],
    [
      'a description over 10,000 characters',
      { title: 'x', description: 'x'.repeat(10_001) },
      ['description'],
    ],
    ['a NUL in the description', { title: 'x', description: '\0' }, ['description']],
    ['an unknown priority', { title: 'x', priority: 'URGENT' }, ['priority']],
    ['a priority in small letters', { title: 'x', priority: 'high' }, ['priority']],
    ['an unknown type', { title: 'x', type: 'nope' }, ['type']],
    ['a type from the prototype', { title: 'x', type: 'constructor' }, ['type']],
    ['an empty type', { title: 'x', type: '' }, ['type']],
    ['an unknown field', { title: 'x', colour: 'red' }, ['colour']],
    ["GraphQL's name of a field", { title: 'x', maxAttempts: 1 }, ['maxAttempts']],
    ['the status', { title: 'x', status: 'COMPLETED' }, ['status']],
    ['__proto__ as a field', '{"title":"x","__proto__":{"a":1}}', ['__proto__']],
    ['constructor as a field', '{"title":"x","constructor":{"prototype":1}}', ['constructor']],
    ['two unknown fields', { title: 'x', a: 1, b: 2 }, ['a'], ['b']],
    [
      'a payload over 256 KiB',
      { title: 'x', payload: { error: 'x'.repeat(262_144) } },
      ['payload'],
    ],
    ['a payload nested too deep', `{"title":"x","payload":${nested(101)}}`, ['payload']],
    ['a payload nested 100,000 deep', `{"title":"x","payload":${nested(100_000)}}`, ['payload']],
    ['a NUL in the payload', { title: 'x', payload: { error: '\0' } }, ['payload']],
    ['a NUL in a key of the payload', { title: 'x', payload: { 'a\0': 1 } }, ['payload']],
    [
      'half a surrogate pair in the payload',
      '{"title":"x","payload":{"error":"\\udc00"}}',
      ['payload'],
    ],
    ['a number that is too large', '{"title":"x","payload":1e999}', ['payload']],
    [
      'a payload that does not fit its type',
      { title: 'x', payload: { durationMs: 'long' } },
      ['payload', 'durationMs'],
    ],
    [
      '__proto__ in a payload whose type has no such key',
      '{"title":"x","payload":{"__proto__":{"durationMs":1}}}',
      ['payload', '__proto__'],
    ],
    ['a run_at more than a year ahead', { title: 'x', run_at: inTwoYears }, ['run_at']],
    ['a run_at that is not a time', { title: 'x', run_at: 'tomorrow' }, ['run_at']],
    ['a run_at without an offset', { title: 'x', run_at: '2030-01-31T12:00:00' }, ['run_at']],
    ['a run_at on no day', { title: 'x', run_at: '2030-02-30T12:00:00Z' }, ['run_at']],
    ['a run_at before 1970', { title: 'x', run_at: '1969-12-31T23:59:59Z' }, ['run_at']],
    ['a number as run_at', { title: 'x', run_at: 1_900_000_000 }, ['run_at']],
    [
      'a deadline that has passed',
      { title: 'x', expires_at: '2020-01-31T12:00:00Z' },
      ['expires_at'],
    ],
    ['a deadline that is no time', { title: 'x', expires_at: 'tomorrow' }, ['expires_at']],
    ['a time to live of nothing', { title: 'x', ttl_seconds: 0 }, ['ttl_seconds']],
    ['two deadlines', { title: 'x', expires_at: inAnHour, ttl_seconds: 60 }, ['ttl_seconds']],
    ['a retry by chance over 1', { title: 'x', retry: { jitter: 2 } }, ['retry', 'jitter']],
    [
      "GraphQL's name in a retry",
      { title: 'x', retry: { capSeconds: 1 } },
      ['retry', 'capSeconds'],
    ],
    ['a retry that is a number', { title: 'x', retry: 5 }, ['retry']],
    ['no attempts', { title: 'x', max_attempts: 0 }, ['max_attempts']],
    ['more than 100 attempts', { title: 'x', max_attempts: 101 }, ['max_attempts']],
    ['half an attempt', { title: 'x', max_attempts: 1.5 }, ['max_attempts']],
    ['attempts as text', { title: 'x', max_attempts: '3' }, ['max_attempts']],
    ['a timeout of nothing', { title: 'x', timeout_seconds: 0 }, ['timeout_seconds']],
    ['an array', [{ title: 'x' }], []],
    ['null', 'null', []],
    ['text', '"title"', []],
    [
      'several things at once',
      { title: '', priority: 'x', max_attempts: 0 },
      ['title'],
      ['priority'],
      ['max_attempts'],
    ],
  ];

  test.each(bodies)('is refused: %s', async (_what, body, ...paths) => {
    await leavesNoTrace(async (rest) => {
      const answer = await rest.post(body);
      expectInvalid(answer, paths);
    });
  });

  test.each([
    ['empty', ''],
    ['over 255 characters', 'x'.repeat(256)],
    ['not UTF-8', '\xff'],
  ])('is refused for its Idempotency-Key: %s', async (_what, key) => {
    await leavesNoTrace(async (rest) => {
      const answer = await rest.post({ title: 'x' }, { 'idempotency-key': key });
      expectInvalid(answer, [['Idempotency-Key']]);
    });
  });

  test('with thousands of unknown fields gets an answer of bounded size', async () => {
    await leavesNoTrace(async (rest) => {
      const fields = Array.from({ length: 50_000 }, (_, index) => [`field${index}`, 1]);
      const { status, body } = await rest.post(Object.fromEntries([['title', 'x'], ...fields]));
      expect(status).toBe(422);
      expect(body.errors).toHaveLength(100);
    });
  });
});

describe('a bad body', () => {
  const json = 'application/json';
  test.each<[string, number, string | undefined, string | Buffer]>([
    ['malformed JSON', 400, json, '{"title":'],
    ['JSON with a comma too many', 400, json, '{"title":"x",}'],
    ['nothing', 400, json, ''],
    ['bytes that are not UTF-8', 400, json, Buffer.from('{"title":"\xff"}', 'latin1')],
    ['more than 1 MiB', 413, json, JSON.stringify({ title: 'x'.repeat(1_048_576) })],
    ['plain text', 415, 'text/plain', '{"title":"x"}'],
    ['a form', 415, 'application/x-www-form-urlencoded', 'title=x'],
    ['XML', 415, 'application/xml', '<title>x</title>'],
    ['a content type that is none', 415, 'nonsense', '{"title":"x"}'],
    ['no content type', 415, undefined, '{"title":"x"}'],
    ['no content type and nothing', 415, undefined, ''],
  ])('is refused: %s', async (_what, expected, type, payload) => {
    await leavesNoTrace(async (rest) => {
      const headers = type === undefined ? {} : { 'content-type': type };
      const answer = await rest.request({ method: 'POST', url: TASKS, headers, payload });
      expect(answer.status).toBe(expected);
      expectProblem(answer);
    });
  });
});

describe('a bad list', () => {
  test.each<[string, ...Path[]]>([
    ['limit=0', ['limit']],
    ['limit=101', ['limit']],
    ['limit=-1', ['limit']],
    ['limit=ten', ['limit']],
    ['limit=1.5', ['limit']],
    ['limit=', ['limit']],
    ['limit=1e1', ['limit']],
    ['limit=1&limit=2', ['limit']],
    ['skip=-1', ['skip']],
    ['skip=1000001', ['skip']],
    ['skip=99999999999999999999', ['skip']],
    ['status=new', ['status']],
    ['status=DONE', ['status']],
    ['status=NEW&status=PENDING', ['status']],
    ['priority=URGENT', ['priority']],
    [`type=${'x'.repeat(101)}`, ['type']],
    ['type=%00', ['type']],
    ['type=a&type=b', ['type']],
    ['offset=1', ['offset']],
    ['%00=1', ['\0']],
    ['__proto__=1', ['__proto__']],
    ['limit=0&skip=-1&nope=1', ['skip'], ['limit'], ['nope']],
  ])('is refused: %s', async (query, ...paths) => {
    await leavesNoTrace(async (rest) => {
      expectInvalid(await rest.get(`${TASKS}?${query}`), paths);
    });
  });
});

describe('a bad id', () => {
  test.each(['1', 'not-a-uuid', '01890000-0000-7000-8000-00000000000', '%00', 'x'.repeat(5_000)])(
    'is refused: %s',
    async (id) => {
      await leavesNoTrace(async (rest) => {
        const answers = [
          await rest.get(`${TASKS}/${id}`),
          await rest.get(`${TASKS}/${id}/status`),
          await rest.delete(`${TASKS}/${id}`),
        ];
        for (const answer of answers) expectInvalid(answer, [['id']]);
      });
    },
  );

  test('is no bad one for being of another version: such a task is not there', async () => {
    const rest = await startRest();
    for (const id of [
      '00000000-0000-0000-0000-000000000001',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
    ]) {
      expect((await rest.get(`${TASKS}/${id}`)).status).toBe(404);
    }
  });

  test.each(['/api/v1/tasks/%', '/api/v1/tasks/%zz', '/%ff'])(
    'in a path that cannot be decoded is refused: %s',
    async (url) => {
      await leavesNoTrace(async (rest) => {
        const answer = await rest.get(url);
        expect(answer.status).toBe(400);
        expectProblem(answer);
      });
    },
  );
});

function expectInvalid(answer: Answer, paths: Path[]): void {
  expect(answer.body).toMatchObject({ title: 'Unprocessable Entity', status: 422 });
  expect(answer.status).toBe(422);
  expectProblem(answer);
  const errors: { path: Path; message: string }[] = answer.body.errors;
  expect(errors.map(({ path }) => path)).toEqual(paths);
  for (const { message } of errors) expect(message).not.toBe('');
}

function expectProblem({ status, headers, body, text }: Answer): void {
  expect(headers['content-type']).toContain('application/problem+json');
  expect(body).toMatchObject({ type: 'about:blank', status, detail: expect.stringMatching(/./) });
  expect(text).not.toMatch(/node_modules|at \w+ \(/);
}

/** Whatever `ask` asks, nothing is stored and nothing is logged as our fault; and the service still works. */
async function leavesNoTrace(ask: (rest: RestClient & TestService) => Promise<void>) {
  const rest = await startRest();
  await ask(rest);
  const stored = await rest.database.run<{ count: number }>({
    text: 'select count(*)::int as count from tasks',
  });
  expect(stored).toEqual([{ count: 0 }]);
  const loud = rest.logs.lines.all.filter(({ level }) => level === 'error' || level === 'warn');
  expect(loud).toEqual([]);
  expect((await rest.post({ title: 'a good one' })).status).toBe(201);
}

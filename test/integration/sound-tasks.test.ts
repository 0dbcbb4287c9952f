import { beforeEach, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/test-service.ts';

let app: TestService;
let id: string;

beforeEach(async () => {
  app = await startTestService();
  ({ id } = await app.create());
});

test.each([
  "title = ''",
  "title = repeat('x', 256)",
  "description = repeat('x', 10001)",
  'attempt = max_attempts + 1',
  'attempt = -1',
  'version = 0',
  'worker_deaths = -1',
  'progress = 1.1',
  "retry = '[]'",
  "worker_id = '01890000-0000-7000-8000-00000000000a'",
  "status = 'IN_PROGRESS'",
  "status = 'COMPLETED'",
  'finished_at = now()',
  'queued_at = null',
  "status = 'FAILED', finished_at = now()",
  "result = '1'",
  "idempotency_key = 'a'",
])('the database refuses a task with %s', async (change) => {
  const text = `update tasks set ${change} where id = $1`;
  await expect(app.database.run({ text }, [id])).rejects.toThrow('tasks_are_sound');
});

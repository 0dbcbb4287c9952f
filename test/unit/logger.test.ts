import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('an error is logged with its cause, and without what drivers hang on it', () => {
  const script = `
    import { createLogger } from './src/logger.ts';
    const log = createLogger({ level: 'info', pretty: false });
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED', client: { password: 'secret' } });
    log.warn({ err: new Error('away', { cause }) }, 'no database');
  `;
  const { stdout } = spawnSync('node', ['--input-type=module', '--eval', script]);
  const line = JSON.parse(String(stdout));
  expect(line).toMatchObject({
    level: 'warn',
    msg: 'no database',
    err: { type: 'Error', message: 'away', cause: { message: 'refused', code: 'ECONNREFUSED' } },
  });
  expect(String(stdout)).not.toContain('secret');
});

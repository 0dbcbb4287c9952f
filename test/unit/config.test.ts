import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../../src/config.ts';

describe('the environment', () => {
  test('has a default for everything, so that nothing need be set', () => {
    expect(parseConfig(undefined, {})).toEqual({
      role: 'all',
      databaseUrl: undefined,
      rabbitmqUrl: undefined,
      rabbitmqNamespace: undefined,
      host: '127.0.0.1',
      port: 8_000,
      logLevel: 'info',
      slots: { HIGH: 1, MEDIUM: 1, LOW: 1 },
      shutdownGraceMs: 5_000,
    });
  });

  test('treats an empty value as unset', () => {
    expect(parseConfig('all', { PORT: '', DATABASE_URL: '' })).toEqual(parseConfig('all', {}));
  });

  test('accepts the URL that SQLAlchemy would use', () => {
    const { databaseUrl } = parseConfig('all', { DATABASE_URL: 'postgresql+asyncpg://u:p@h/db' });
    expect(databaseUrl).toBe('postgresql://u:p@h/db');
  });

  test('takes the namespace out of the URL of RabbitMQ', () => {
    expect(parseConfig('all', { RABBITMQ_URL: 'amqp://u:p@h:5672/v?namespace=a' })).toMatchObject({
      rabbitmqUrl: 'amqp://u:p@h:5672/v',
      rabbitmqNamespace: 'a',
    });
  });

  test('keeps one slot for each priority that WORKER_CONCURRENCY does not name', () => {
    const { slots } = parseConfig('all', { WORKER_CONCURRENCY: 'HIGH=8, LOW=0' });
    expect(slots).toEqual({ HIGH: 8, MEDIUM: 1, LOW: 0 });
  });

  test('reports every problem together, each naming its variable', () => {
    const read = () =>
      parseConfig('all', {
        DATABASE_URL: 'mysql://x',
        RABBITMQ_URL: 'nonsense',
        PORT: '99999',
        LOG_LEVEL: 'loud',
        WORKER_CONCURRENCY: 'URGENT=1',
        SHUTDOWN_GRACE_SECONDS: '-1',
      });
    expect(read).toThrow(ConfigError);
    for (const name of [
      'DATABASE_URL must look like postgresql://',
      'RABBITMQ_URL must look like amqp://',
      'PORT must be a whole number from 0 to 65535',
      'LOG_LEVEL must be one of',
      'WORKER_CONCURRENCY must look like HIGH=1',
      'SHUTDOWN_GRACE_SECONDS must be a whole number',
    ]) {
      expect(read).toThrow(name);
    }
  });

  test('must name the servers that an api and a worker share', () => {
    for (const role of ['api', 'worker']) {
      expect(() => parseConfig(role, {})).toThrow('DATABASE_URL must be set');
      expect(() => parseConfig(role, {})).toThrow('RABBITMQ_URL must be set');
    }
  });

  test('says what is missing together with what is wrong', () => {
    const read = () => parseConfig('api', { PORT: 'http', DATABASE_URL: 'postgresql://h/db' });
    expect(read).toThrow('PORT must be');
    expect(read).toThrow('RABBITMQ_URL must be set');
  });

  test('refuses a role that does not exist', () => {
    expect(() => parseConfig('boss', {})).toThrow('The role must be api, worker or all');
  });

  test('is listed whole, with its defaults, in .env.example and in the README', () => {
    const source = readFileSync('src/config.ts', 'utf8');
    const names = [...source.matchAll(/^ {2}([A-Z_]{4,}):/gm)].map(([, name]) => String(name));
    expect(names).toHaveLength(7);
    for (const file of ['.env.example', 'README.md']) {
      const text = readFileSync(file, 'utf8');
      for (const name of names) expect(text, `${name} in ${file}`).toContain(name);
    }
  });
});

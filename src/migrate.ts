/** Applies pending migrations to DATABASE_URL and exits: what Compose runs before the API and the workers. */
import { ConfigError, readConfig } from './config.ts';
import { createLogger } from './logger.ts';
import { applyMigrations } from './store/migrate.ts';

const { databaseUrl, logLevel } = readConfig();
const log = createLogger({ level: logLevel, pretty: process.stdout.isTTY });
try {
  if (databaseUrl === undefined) throw new ConfigError('DATABASE_URL must be set.');
  await applyMigrations({ databaseUrl, log });
  log.info('the database is up to date');
} catch (error) {
  log.fatal({ err: error }, 'could not migrate');
  process.exitCode = 1;
}

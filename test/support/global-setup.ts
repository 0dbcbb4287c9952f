import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { ensureDatabase } from '../../src/store/ensure-database.ts';
import { applyMigrations } from '../../src/store/migrate.ts';
import type { Missing, Services } from './services.ts';

declare module 'vitest' {
  interface ProvidedContext {
    services: Services;
    missing: Missing[];
    /** A migrated database that tests copy, on a server on which they may create others. */
    templateUrl: string;
  }
}

const log = pino({ level: 'warn' });

/** Provides PostgreSQL: the one of `TEST_DATABASE_URL`, else an embedded one that goes away with the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await openServer();
  const template = new URL(server.url);
  template.pathname = `/test_template_${process.pid}`;
  await ensureDatabase(template.href);
  await applyMigrations({ databaseUrl: template.href, log });
  project.provide('templateUrl', template.href);
  return async () => {
    await server.stop();
    for (const { service, pattern, remedy } of project.getProvidedContext().missing) {
      process.stdout.write(`Not run for want of ${service}: ${pattern}. To run them: ${remedy}.\n`);
    }
  };
}

async function openServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const url = process.env.TEST_DATABASE_URL;
  if (url) return { url, stop: async () => {} };
  const dataDir = await mkdtemp(join(tmpdir(), 'async-task-manager-test-'));
  const server = await startEmbeddedPostgres({ dataDir, log });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

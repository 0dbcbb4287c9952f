import { configDefaults, defineConfig } from 'vitest/config';
import { findServices, missingServices } from './test/support/services.ts';

export default defineConfig(async () => {
  const services = await findServices();
  const missing = missingServices(services);
  if (missing.length > 0 && process.env.REQUIRE_SERVICES === '1') {
    const lines = missing.map(({ service, remedy }) => `${service} is missing: ${remedy}`);
    throw new Error(lines.join('\n'));
  }
  return {
    // Without Vite's `development` condition, or the sources would see another copy of graphql than its users do.
    ssr: {
      resolve: { conditions: ['module', 'node'], externalConditions: ['module-sync', 'node'] },
    },
    test: {
      include: ['test/**/*.test.ts'],
      exclude: [...configDefaults.exclude, ...missing.map(({ pattern }) => pattern)],
      globalSetup: ['test/support/global-setup.ts'],
      provide: { services, missing },
      reporters: ['default', './test/support/summary-reporter.ts'],
      testTimeout: 20_000,
      hookTimeout: 30_000,
      // The machine's cores are shared with PostgreSQL, RabbitMQ and the processes under test.
      maxWorkers: 2,
    },
  };
});

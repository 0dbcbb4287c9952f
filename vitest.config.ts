import { configDefaults, defineConfig } from 'vitest/config';
import { findServices, missingServices } from './test/support/services.ts';

/** What they judge is how soon something happens: nobody else may have the machine meanwhile. */
const TIMED = [
  'test/faults/cancel.rabbitmq.test.ts',
  'test/faults/rolling-restart.rabbitmq.test.ts',
] as const;

export default defineConfig(async () => {
  const services = await findServices();
  const missing = missingServices(services);
  if (missing.length > 0 && process.env.REQUIRE_SERVICES === '1') {
    const lines = missing.map(({ service, remedy }) => `${service} is missing: ${remedy}`);
    throw new Error(lines.join('\n'));
  }
  const left = [...configDefaults.exclude, ...missing.map(({ pattern }) => pattern)];
  return {
    // Without Vite's `development` condition, or the sources would see another copy of graphql than its users do.
    ssr: {
      resolve: { conditions: ['module', 'node'], externalConditions: ['module-sync', 'node'] },
    },
    test: {
      globalSetup: ['test/support/global-setup.ts'],
      provide: { services, missing },
      reporters: ['default', './test/support/summary-reporter.ts'],
      testTimeout: 20_000,
      hookTimeout: 30_000,
      projects: [
        {
          extends: true,
          test: {
            name: 'together',
            include: ['test/**/*.test.ts'],
            exclude: [...left, ...TIMED],
            // The machine's cores are shared with PostgreSQL, RabbitMQ and the processes under test.
            maxWorkers: 2,
            sequence: { groupOrder: 1 },
          },
        },
        {
          extends: true,
          test: {
            name: 'alone',
            include: [...TIMED],
            exclude: left,
            maxWorkers: 1,
            sequence: { groupOrder: 2 },
          },
        },
      ],
    },
  };
});

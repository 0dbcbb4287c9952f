import { serviceUnavailable } from '../domain/errors.ts';
import type { Database } from './database.ts';
import type { Statement } from './sql.ts';

/**
 * A database for those who may ask before it is known to be fit for use: until it is opened, it is as good as away, and
 * nothing touches its connections. Except through `prisma`, which fails by itself while the server is away.
 */
export function gateDatabase(database: Database): { database: Database; open(): void } {
  let isOpen = false;

  function pass(): void {
    if (!isOpen) throw serviceUnavailable('The database', new Error('It was not reached yet.'));
  }

  return {
    database: {
      ...database,
      async run<Row extends object>(statement: Statement, values?: readonly unknown[]) {
        pass();
        return database.run<Row>(statement, values);
      },
      async runTogether(requests) {
        pass();
        return database.runTogether(requests);
      },
      async transaction(work) {
        pass();
        return database.transaction(work);
      },
      isReachable: async () => isOpen && database.isReachable(),
    },
    open() {
      isOpen = true;
    },
  };
}

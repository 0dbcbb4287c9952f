/** Graphile Worker, with a no-op, as its page on performance sets it. */
import { Logger, run } from 'graphile-worker';
import { serveStarts } from '../starts.ts';
import { readSettings } from './settings.ts';
import { openTaskRows } from './task-rows.ts';

const { databaseUrl, withRow } = readSettings();
const { started } = serveStarts();
const rows = withRow ? openTaskRows(databaseUrl) : undefined;

await run({
  logger: new Logger(() => (level, message) => {
    if (level === 'error' || level === 'warning') process.stderr.write(`${message}\n`);
  }),
  taskList: {
    async 'no-op'(payload) {
      const { id } = payload as { id: string };
      started(id);
      await rows?.complete(id);
    },
  },
  preset: {
    worker: {
      connectionString: databaseUrl,
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
});
process.stdout.write('"level":"info" ready\n');

/** BullMQ's worker, with a no-op. */
import { Worker } from 'bullmq';
import { serveStarts } from '../starts.ts';
import { openBullConnection } from './bullmq-connection.ts';
import { readSettings } from './settings.ts';
import { openTaskRows } from './task-rows.ts';

const { name, databaseUrl, redisUrl, withRow } = readSettings();
const { started } = serveStarts();
const rows = withRow ? openTaskRows(databaseUrl) : undefined;

const worker = new Worker(
  'tasks',
  async ({ id = '' }) => {
    started(id);
    await rows?.complete(id);
  },
  { prefix: name, connection: openBullConnection(redisUrl), concurrency: 50 },
);
worker.on('error', (error) => process.stderr.write(`${error}\n`));
await worker.waitUntilReady();
process.stdout.write('"level":"info" ready\n');

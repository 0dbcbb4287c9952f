/** BullMQ behind the least of an HTTP API. */
import { Queue } from 'bullmq';
import { openBullConnection } from './bullmq-connection.ts';
import { servePosts } from './serve-posts.ts';
import { readSettings } from './settings.ts';
import { openTaskRows } from './task-rows.ts';

const { name, databaseUrl, redisUrl, withRow } = readSettings();
const queue = new Queue('tasks', { prefix: name, connection: openBullConnection(redisUrl) });
const rows = withRow ? openTaskRows(databaseUrl) : undefined;

servePosts(async (body) => {
  // The row first: a job whose row is not there yet would have to wait for it.
  const id = await rows?.insert(body);
  const job = await queue.add('no-op', body, id === undefined ? {} : { jobId: id });
  return job.id ?? '';
});

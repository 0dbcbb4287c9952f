import { Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import { type Contender, type Deployment, type Site, TASK } from '../contender.ts';
import { createDatabase } from '../database.ts';
import { openTaskRows, TASK_ROWS } from '../rivals/task-rows.ts';
import { urlOf } from '../servers.ts';
import { sharedNow } from '../streams/commands.ts';
import { countRows } from './count-rows.ts';
import { postOf, rivalProcesses } from './rival.ts';

/** Keeps nothing in PostgreSQL: the fastest that can be had, for whoever needs no lists and trusts Redis. */
export const bullmq: Contender = {
  name: 'BullMQ alone',
  needs: ['Redis'],
  deploy: (site) => deploy(site, { withRow: false }),
};

export const bullmqWithRow: Contender = {
  name: 'BullMQ + row',
  needs: ['Redis', 'PostgreSQL'],
  deploy: (site) => deploy(site, { withRow: true }),
};

async function deploy(site: Site, { withRow }: { withRow: boolean }): Promise<Deployment> {
  const { servers, name, releases, favour } = site;
  const redisUrl = urlOf(servers, 'Redis');
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  releases.push('the connection to Redis', () => redis.disconnect());
  releases.push('the keys', () => deleteKeys(redis, `${name}:*`), DELETED_WITHIN_MS);
  const queue = new Queue('tasks', { prefix: name, connection: redis });
  const database = withRow ? await createDatabase(site) : undefined;
  await database?.sql.query(TASK_ROWS);
  const databaseUrl = database?.url ?? '';
  const settings = { name, databaseUrl, redisUrl, withRow, favour };

  async function addRows(count: number): Promise<string[]> {
    const rows = openTaskRows(databaseUrl);
    const ids = await rows.insertMany(count, TASK);
    await rows.pool.end();
    return ids;
  }

  const inRedis = {
    async hasOpen() {
      const open = ['wait', 'active'].map((list) => redis.llen(`${name}:tasks:${list}`));
      return (await Promise.all(open)).some((count) => count > 0);
    },
    async completed() {
      const key = `${name}:tasks:completed`;
      // The score is when it was finished.
      const [, lastAt] = await redis.zrevrange(key, 0, 0, 'WITHSCORES');
      return { count: await redis.zcard(key), lastAt: Number(lastAt) };
    },
  };

  return {
    create: postOf(TASK),
    ...rivalProcesses('bullmq', settings, site),
    async enqueue(count) {
      const ids = withRow ? await addRows(count) : new Array<undefined>(count).fill(undefined);
      for (let start = 0; start < count; start += BULK) {
        await queue.addBulk(
          ids.slice(start, start + BULK).map((id) => ({
            name: 'no-op',
            data: TASK,
            opts: id === undefined ? {} : { jobId: id },
          })),
        );
      }
    },
    ...(database === undefined ? inRedis : countRows(database.sql)),
    async watch() {
      const seen = new Map<string, number>();
      const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
      const events = new QueueEvents('tasks', { prefix: name, connection });
      events.on('completed', ({ jobId }) => seen.set(jobId, sharedNow()));
      releases.push('the events', async () => {
        await events.close();
        connection.disconnect();
      });
      await events.waitUntilReady();
      return { seen: async () => seen };
    },
  };
}

const BULK = 1_000;
const DELETED_WITHIN_MS = 60_000;

async function deleteKeys(redis: Redis, pattern: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: pattern, count: 5_000 })) {
    if (keys.length > 0) await redis.unlink(...keys);
  }
}

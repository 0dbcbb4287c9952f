import { makeWorkerUtils } from 'graphile-worker';
import { type Contender, type Deployment, type Site, TASK } from '../contender.ts';
import { createDatabase } from '../database.ts';
import { openTaskRows, TASK_ROWS } from '../rivals/task-rows.ts';
import { countRows } from './count-rows.ts';
import { postOf, rivalProcesses } from './rival.ts';

/** It deletes a job that is done, so that a client can learn what became of it from a row only. */
export const graphileWorkerWithRow: Contender = {
  name: 'Graphile Worker + row',
  needs: ['PostgreSQL'],
  deploy: (site) => deploy(site, { withRow: true }),
};

export const graphileWorker: Contender = {
  name: 'Graphile Worker alone',
  needs: ['PostgreSQL'],
  deploy: (site) => deploy(site, { withRow: false }),
};

async function deploy(site: Site, { withRow }: { withRow: boolean }): Promise<Deployment> {
  const { name, favour } = site;
  const { url: databaseUrl, sql } = await createDatabase(site);
  await sql.query(TASK_ROWS);
  const connect = () => makeWorkerUtils({ connectionString: databaseUrl });
  const utils = await connect();
  await utils.migrate();
  await utils.release();
  const settings = { name, databaseUrl, redisUrl: '', withRow, favour };
  let enqueued = 0;
  let emptyAt = Number.NaN;

  /** Jobs alone leave no trace: the last was done when the first look found none. */
  const inJobs = {
    async hasOpen() {
      const { rowCount } = await sql.query('select from graphile_worker._private_jobs limit 1');
      if (rowCount === 0) emptyAt = Date.now();
      return rowCount !== 0;
    },
    completed: async () => ({ count: enqueued, lastAt: emptyAt }),
  };

  return {
    create: postOf(TASK),
    ...rivalProcesses('graphile', settings, site),
    async enqueue(count) {
      const utils = await connect();
      const rows = openTaskRows(databaseUrl);
      for (let left = count; left > 0; left -= BULK) {
        const size = Math.min(BULK, left);
        const ids = withRow
          ? await rows.insertMany(size, TASK)
          : Array.from({ length: size }, (_, i) => String(i));
        await utils.addJobs(ids.map((id) => ({ identifier: 'no-op', payload: { id } })));
      }
      await rows.pool.end();
      await utils.release();
      enqueued += count;
    },
    ...(withRow ? countRows(sql) : inJobs),
    watch: undefined,
  };
}

const BULK = 1_000;

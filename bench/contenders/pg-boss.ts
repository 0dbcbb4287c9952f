import { type Contender, TASK } from '../contender.ts';
import { createDatabase } from '../database.ts';
import { createBossQueue, QUEUE } from '../rivals/open-boss.ts';
import { postOf, rivalProcesses } from './rival.ts';

export const pgBoss: Contender = {
  name: 'pg-boss',
  needs: ['PostgreSQL'],
  async deploy(site) {
    const { name, favour } = site;
    const { url: databaseUrl, sql } = await createDatabase(site);
    const settings = { name, databaseUrl, redisUrl: '', withRow: false, favour };
    const boss = await createBossQueue(settings);
    await boss.stop({ graceful: false });
    let emptyAt = Number.NaN;

    return {
      create: postOf(TASK),
      ...rivalProcesses('pg-boss', settings, site),
      async enqueue(count) {
        const boss = await createBossQueue(settings);
        for (let left = count; left > 0; left -= BULK) {
          await boss.insert(QUEUE, new Array(Math.min(BULK, left)).fill({ data: TASK }));
        }
        await boss.stop({ graceful: false });
      },
      async hasOpen() {
        const open = "select from pgboss.job where name = $1 and state < 'completed' limit 1";
        const { rowCount } = await sql.query(open, [QUEUE]);
        if (rowCount === 0) emptyAt = Date.now();
        return rowCount !== 0;
      },
      async completed() {
        const { rows } = await sql.query<{ count: number }>(
          `select count(*)::int as count from pgboss.job where name = $1 and state = 'completed'`,
          [QUEUE],
        );
        // `completed_on` is when the statement for a whole batch began.
        return { count: rows[0]?.count ?? 0, lastAt: emptyAt };
      },
      watch: undefined,
    };
  },
};

const BULK = 1_000;

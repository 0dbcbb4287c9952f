import { PgBoss } from 'pg-boss';
import type { RivalSettings } from './settings.ts';

export const QUEUE = 'tasks';

/** @param options.isApi leaves the upkeep to the worker */
export async function openBoss(
  { databaseUrl, favour }: RivalSettings,
  { isApi }: { isApi: boolean },
): Promise<PgBoss> {
  const boss = new PgBoss({
    connectionString: databaseUrl,
    max: 20,
    supervise: !isApi,
    schedule: false,
    // Wakes the worker at once, but each create then waits for the one lock of NOTIFY.
    useListenNotify: favour === 'latency',
  });
  boss.on('error', (error) => process.stderr.write(`${error}\n`));
  await boss.start();
  return boss;
}

/** Run once, before any process of it. */
export async function createBossQueue(settings: RivalSettings): Promise<PgBoss> {
  const boss = await openBoss(settings, { isApi: true });
  // With a table of its own, as its documentation advises for a large queue.
  await boss.createQueue(QUEUE, { partition: true, notify: settings.favour === 'latency' });
  return boss;
}

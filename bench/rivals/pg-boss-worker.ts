/** pg-boss' worker, with a no-op: two loops that each take, run and complete a batch in one statement apiece. */
import { serveStarts } from '../starts.ts';
import { openBoss, QUEUE } from './open-boss.ts';
import { readSettings } from './settings.ts';

const { started } = serveStarts();
const boss = await openBoss(readSettings(), { isApi: false });

// From the first fetch on, not only once thousands are in hand: others get theirs one by one.
started('');
await boss.work(
  QUEUE,
  {
    batchSize: 5_000,
    localConcurrency: 2,
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
  },
  async (jobs) => {
    for (const { id } of jobs) started(id);
  },
);
process.stdout.write('"level":"info" ready\n');

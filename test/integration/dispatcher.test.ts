import { expect, onTestFinished, test } from 'vitest';
import { startDispatcher } from '../../src/worker/dispatcher.ts';
import { createInbox } from '../support/inbox.ts';
import { startTestService } from '../support/test-service.ts';

test('a dispatcher does not ask without a pause for what another one is about to send', async () => {
  const { database, broker, create, logs } = await startTestService();
  const { id } = await create({ runAt: new Date(Date.now() + 50) });
  const [held, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const other = database.transaction(async (tx) => {
    await tx.run({ text: 'select from tasks where id = $1 for update' }, [id]);
    held.resolve();
    await done.promise;
  });
  await held.promise;
  const asked = createInbox<number>();
  const dispatcher = startDispatcher({
    database: {
      ...database,
      transaction(work) {
        asked.put(performance.now());
        return database.transaction(work);
      },
    },
    broker,
    log: logs.log,
  });
  onTestFinished(dispatcher.stop);
  // It is due by now for certain.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await asked.takeMany(asked.all.length);
  const times = await asked.takeMany(20);
  done.resolve();
  await other;
  expect(Number(times.at(-1)) - Number(times[0])).toBeGreaterThan(19 * 18);
});

import type { Releases } from '../../src/shutdown.ts';
import type { Watcher } from '../contender.ts';
import { sharedNow } from '../streams/commands.ts';
import { openLightSocket } from '../streams/light-socket.ts';

/** A subscriber of every task that is COMPLETED, over `graphql-transport-ws`, begun when this resolves. */
export async function watchCompleted(url: string, releases: Releases): Promise<Watcher> {
  const seen = new Map<string, number>();
  const acknowledged = Promise.withResolvers<void>();
  let isAcknowledged = false;
  const socket = await openLightSocket({
    url: `${url}/graphql`,
    protocol: 'graphql-transport-ws',
    onText(bytes, start, end) {
      if (!isAcknowledged) {
        isAcknowledged = true;
        return acknowledged.resolve();
      }
      const [, id] = /"taskId":"([^"]+)"/.exec(bytes.toString('latin1', start, end)) ?? [];
      if (id !== undefined) seen.set(id, sharedNow());
    },
  });
  releases.push('the subscriber', socket.close);
  socket.send('{"type":"connection_init"}');
  await acknowledged.promise;
  const query =
    'subscription { taskStatusChanged(filter: { status: [COMPLETED] }) { taskId status } }';
  socket.send(JSON.stringify({ id: '0', type: 'subscribe', payload: { query } }));
  return { seen: async () => seen };
}

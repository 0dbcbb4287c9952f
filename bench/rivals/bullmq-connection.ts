import { Redis } from 'ioredis';

/** Commands of one turn of the event loop go out together, which ioredis leaves off unless it is asked. */
export function openBullConnection(url: string): Redis {
  return new Redis(url, { maxRetriesPerRequest: null, enableAutoPipelining: true });
}

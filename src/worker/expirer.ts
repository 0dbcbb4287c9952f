import type { Logger } from 'pino';
import { expire } from '../domain/transitions.ts';
import { findExpired } from '../store/due-tasks.ts';
import type { Sql } from '../store/sql.ts';
import type { Advance } from '../tasks/advance.ts';
import { type Loop, startLoop } from './loop.ts';

const INTERVAL_MS = 500;
const BATCH = 500;

/** Cancels tasks that nobody has started by their deadline. Any number of expirers may run. */
export function startExpirer(options: { sql: Sql; advance: Advance; log: Logger }): Loop {
  const { sql, advance, log } = options;

  async function step(): Promise<number> {
    const expired = await findExpired(sql, BATCH);
    await advance(expired.map(expire));
    return expired.length === BATCH ? 0 : INTERVAL_MS;
  }

  return startLoop({ name: 'expirer', step, log });
}

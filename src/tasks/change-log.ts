import type { Logger } from 'pino';
import type { Sql } from '../store/sql.ts';
import type { Watcher } from './audience.ts';
import type { EventHub } from './event-hub.ts';
import { type Follower, followChanges } from './follow-changes.ts';
import type { SeqSet } from './seq-set.ts';

/** The changes of all tasks as one log, which one follower reads for all who watch. Nobody watching, nobody reads. */
export interface ChangeLog {
  /**
   * From now on the watcher is told of every change that it selects, as it becomes visible.
   * @param position which the log is to have passed by then
   * @throws AppError SERVICE_UNAVAILABLE; BAD_USER_INPUT for a position ahead of every change
   */
  join(watcher: Watcher, position?: bigint): Promise<Membership>;
  /** Nobody is told of anything any more. */
  close(): void;
}

export interface Membership {
  /** The changes that have yet to be told. All others have been, or came before. */
  unseen(): SeqSet;
  leave(): void;
}

export function createChangeLog(options: {
  hub: EventHub;
  sql: Sql;
  log: Logger;
  now: () => number;
}): ChangeLog {
  let following: Promise<Follower> | undefined;
  let members = 0;

  function stop() {
    void following?.then(
      (follower) => follower.stop(),
      () => {}, // Who waited for it has been told.
    );
    following = undefined;
  }

  function leaveOnce() {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      members -= 1;
      if (members === 0) stop();
    };
  }

  return {
    async join(watcher, position = 0n) {
      members += 1;
      const leave = leaveOnce();
      try {
        following ??= followChanges(options);
        const { audience, unseen, reach } = await following;
        await reach(position);
        const leaveAudience = audience.add(watcher);
        return {
          unseen,
          leave() {
            leaveAudience();
            leave();
          },
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
    close: stop,
  };
}

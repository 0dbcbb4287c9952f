import { aheadOfAll, badInput, cursorExpired, taskNotFound } from '../domain/errors.ts';
import { isFinal, type TaskChange } from '../domain/task.ts';
import { latestChange, PAGE } from '../store/event-queries.ts';
import type { Sql } from '../store/sql.ts';
import { createChangeQueue } from './change-queue.ts';
import { decodeCursor, type StreamedChange } from './cursor.ts';
import type { EventHub } from './event-hub.ts';
import type { Queue } from './queue.ts';
import type { TaskHistory } from './task-history.ts';

/**
 * One task's changes in order of version, each exactly once.
 *
 * The version tells what comes next: an announced change that is the next one goes out at once, without a read. One
 * that is further ahead shows that something was missed, which is then read from the history. So a lost, doubled or
 * reordered message costs a read at most.
 *
 * @throws AppError TASK_NOT_FOUND; BAD_USER_INPUT for a cursor that is malformed, of another task or ahead of this one,
 *   CURSOR_EXPIRED when what came after it has been deleted
 */
export async function watchTask(
  { hub, sql, history }: { hub: EventHub; sql: Sql; history: TaskHistory },
  taskId: string,
  after?: string | null,
): Promise<Queue<StreamedChange>> {
  const from = after == null ? undefined : versionOf(after, taskId);
  let lastVersion = from ?? 0;
  let wantedVersion = 0;
  let reading = true;

  const queue = createChangeQueue(() => after ?? undefined);

  function deliver(change: TaskChange, isLatest: boolean) {
    lastVersion = change.event.version;
    queue.push(change);
    if (isLatest && isFinal(change.event.status)) queue.end();
  }

  /** Reads until nothing is known to be missing, as far as the reader makes room. */
  async function catchUp() {
    if (reading) return;
    reading = true;
    try {
      do {
        if (!(await queue.room(PAGE))) break;
        const wantedBefore = wantedVersion;
        const missed = await history({ taskId, version: lastVersion });
        const isWhole = missed[0] === undefined || missed[0].event.version === lastVersion + 1;
        if (!isWhole) return queue.fail(cursorExpired());
        for (const change of missed) {
          deliver(change, change.event.version === change.task.version);
        }
        // What was announced meanwhile may have been committed after the read.
        if (missed.length === 0 && wantedVersion === wantedBefore) break;
      } while (lastVersion < wantedVersion);
    } catch {
      // The database is away. The doubt remains, and comes back until it is settled.
    } finally {
      reading = false;
    }
  }

  // Listen before reading: a change in between must not be lost.
  const leave = await hub.changes.listen(taskId, {
    onChange(change) {
      const { version } = change.event;
      if (version <= lastVersion) return;
      if (!reading && version === lastVersion + 1) return deliver(change, true);
      wantedVersion = Math.max(wantedVersion, version);
      void catchUp();
    },
    onDoubt(version) {
      if (version !== undefined && version <= lastVersion) return;
      wantedVersion = Math.max(wantedVersion, version ?? 0);
      void catchUp();
    },
  });

  try {
    const present = await latestChange(sql, taskId);
    if (present === undefined) throw taskNotFound(taskId);
    wantedVersion = Math.max(wantedVersion, present.event.version);
    if (from === undefined) deliver(present, true);
    else if (from < present.event.version) await requireKept(history, taskId, from);
    else if (from > present.event.version) throw aheadOfAll();
    else if (isFinal(present.event.status)) queue.end();
  } catch (error) {
    leave();
    throw error;
  }
  reading = false;
  if (lastVersion < wantedVersion) void catchUp();
  queue.onClose(leave);
  return queue;
}

/** @throws AppError CURSOR_EXPIRED when the change after this version has been deleted */
async function requireKept(history: TaskHistory, taskId: string, version: number): Promise<void> {
  const [next] = await history({ taskId, version });
  if (next?.event.version !== version + 1) throw cursorExpired();
}

function versionOf(after: string, taskId: string): number {
  const position = decodeCursor(after);
  if (position.taskId === taskId) return position.version;
  throw badInput([{ path: ['after'], message: 'is the cursor of another task' }]);
}

import type { TaskChange } from '../../src/domain/task.ts';
import { createChangeQueue } from '../../src/tasks/change-queue.ts';
import type { StreamedChange } from '../../src/tasks/cursor.ts';
import type { Queue } from '../../src/tasks/queue.ts';
import type { Stream } from '../../src/tasks/stream.ts';
import type { TaskFeed } from '../../src/tasks/task-feed.ts';
import { createInbox } from './inbox.ts';

/** A feed whose one stream at a time the test drives; what comes before it is opened waits for it. */
export function createFakeFeed() {
  const early: (TaskChange | Error)[] = [];
  const opened = createInbox<{ after: string | undefined }>();
  let queue: Queue<StreamedChange> | undefined;
  let returned = Promise.withResolvers<void>();

  function put(item: TaskChange | Error) {
    if (queue === undefined || queue.closed) early.push(item);
    else if (item instanceof Error) queue.fail(item);
    else queue.push(item);
  }

  async function open(_what: unknown, after?: string | null): Promise<Stream<StreamedChange>> {
    queue = createChangeQueue(() => after ?? undefined);
    queue.onClose(() => returned.resolve());
    for (const item of early.splice(0)) put(item);
    opened.put({ after: after ?? undefined });
    return queue.stream;
  }

  const feed: TaskFeed = {
    watchTask: open,
    watchTasks: open,
    watchList: open,
    watchProgress: () => Promise.reject(new Error('not faked')),
    watchStats: () => Promise.reject(new Error('not faked')),
    close: async () => {},
  };
  return {
    feed,
    /** The streams that were opened. */
    opened,
    push: put,
    fail: put,
    /** Resolves when the stream was returned; then waits for the next one. */
    async released() {
      await returned.promise;
      returned = Promise.withResolvers<void>();
    },
  };
}

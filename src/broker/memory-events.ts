import type { TaskChange, TaskProgress } from '../domain/task.ts';
import type {
  CancellationListener,
  Cancellations,
  EventStream,
  EventStreamListener,
} from './broker.ts';
import { cancelsRun, eventPattern, progressPattern } from './messages.ts';

export interface MemoryEvents {
  announceChanges(changes: readonly TaskChange[]): void;
  announceProgress(progress: readonly TaskProgress[]): void;
  open(listener: EventStreamListener): EventStream;
  openCancellations(listener: CancellationListener): Promise<Cancellations>;
  close(): void;
}

/** Hands all that is announced to the streams that have bound a pattern for it, in order, on a later turn. */
export function createMemoryEvents(): MemoryEvents {
  const streams = new Set<{ patterns: Set<string>; listener: EventStreamListener }>();
  let announced: Announcement[] = [];

  function announce(announcement: Announcement): void {
    if (streams.size === 0) return;
    if (announced.length === 0) setImmediate(deliver);
    announced.push(announcement);
  }

  function deliver(): void {
    const announcements = announced;
    announced = [];
    for (const announcement of announcements) {
      const matching = announcement.patterns();
      for (const { patterns, listener } of streams) {
        if (matching.some((pattern) => patterns.has(pattern))) announcement.tell(listener);
      }
    }
  }

  function open(listener: EventStreamListener): EventStream {
    const patterns = new Set<string>();
    const stream = { patterns, listener };
    streams.add(stream);
    return {
      async bind(pattern) {
        patterns.add(pattern);
      },
      async unbind(pattern) {
        patterns.delete(pattern);
      },
      async close() {
        streams.delete(stream);
      },
    };
  }

  return {
    announceChanges(changes) {
      for (const change of changes) {
        announce({
          patterns: () => patternsOf(change),
          tell: ({ onChange }) => onChange(change),
        });
      }
    },
    announceProgress(progress) {
      for (const one of progress) {
        announce({
          patterns: () => [progressPattern(one.taskId), progressPattern()],
          tell: ({ onProgress }) => onProgress(one),
        });
      }
    },
    open,
    async openCancellations({ onCancelled, onGap }) {
      const stream = open({ onChange: onCancelled, onProgress() {}, onGap });
      await stream.bind(CANCELLATIONS);
      return stream;
    },
    close() {
      streams.clear();
    },
  };
}

interface Announcement {
  /** All patterns that it matches. */
  patterns(): string[];
  tell(listener: EventStreamListener): void;
}

/** What is bound by who hears of cancellations: no pattern of the topic exchange. */
const CANCELLATIONS = 'cancellations';

/** The eight or nine patterns that a change matches: looking them up costs the same however many are bound. */
function patternsOf(change: TaskChange): string[] {
  const { task, event } = change;
  const patterns = cancelsRun(change) ? [CANCELLATIONS] : [];
  for (const id of [{ id: task.id }, {}]) {
    for (const priority of [{ priority: task.priority }, {}]) {
      for (const status of [{ status: event.status }, {}]) {
        patterns.push(eventPattern({ ...id, ...priority, ...status }));
      }
    }
  }
  return patterns;
}

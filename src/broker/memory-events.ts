import type { TaskChange } from '../domain/task.ts';
import type { EventStream } from './broker.ts';
import { eventPattern } from './messages.ts';

type OnChange = (change: TaskChange) => void;

export interface MemoryEvents {
  announce(changes: readonly TaskChange[]): void;
  open(onChange: OnChange): EventStream;
  close(): void;
}

/** Hands each announced change to the streams that have bound a pattern for it, in order, on a later turn. */
export function createMemoryEvents(): MemoryEvents {
  const streams = new Set<{ patterns: Set<string>; onChange: OnChange }>();
  let announced: TaskChange[] = [];

  function deliver(): void {
    const changes = announced;
    announced = [];
    for (const change of changes) {
      const matching = patternsOf(change);
      for (const { patterns, onChange } of streams) {
        if (matching.some((pattern) => patterns.has(pattern))) onChange(change);
      }
    }
  }

  return {
    announce(changes) {
      if (streams.size === 0) return;
      if (announced.length === 0) setImmediate(deliver);
      for (const change of changes) announced.push(change);
    },
    open(onChange) {
      const patterns = new Set<string>();
      const stream = { patterns, onChange };
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
    },
    close() {
      streams.clear();
    },
  };
}

/** The eight patterns that a change matches: looking them up costs the same however many are bound. */
function patternsOf({ task, event }: TaskChange): string[] {
  const patterns: string[] = [];
  for (const id of [{ id: task.id }, {}]) {
    for (const priority of [{ priority: task.priority }, {}]) {
      for (const status of [{ status: event.status }, {}]) {
        patterns.push(eventPattern({ ...id, ...priority, ...status }));
      }
    }
  }
  return patterns;
}

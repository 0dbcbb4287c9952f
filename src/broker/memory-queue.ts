import type { TaskDelivery } from './broker.ts';
import type { TaskMessage } from './messages.ts';

type OnTask = (delivery: TaskDelivery) => void;

export interface MemoryQueue {
  /** Messages that wait and are in nobody's hands. */
  readonly depth: number;
  add(message: TaskMessage): void;
  /** Takes messages, at most `slots` unsettled at a time, until stopped. Takers are served in turns. */
  take(slots: number, onTask: OnTask): { stop(): void };
  close(): void;
}

interface Taker {
  stopped: boolean;
  onTask: OnTask;
}

/** One priority's queue. Every operation costs the same however many messages wait. */
export function createMemoryQueue(): MemoryQueue {
  const waiting = createFifo<TaskMessage>();
  /** A taker is in here once for each of its free slots. */
  const freeSlots = createFifo<Taker>();
  let scheduled = false;
  let closed = false;

  // Never from within `add` or `ack`: a caller must not find its own delivery on its stack.
  function scheduleHandOut(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      handOut();
    });
  }

  function handOut(): void {
    while (!closed && waiting.size > 0) {
      const taker = freeSlots.shift();
      if (!taker) return;
      if (taker.stopped) continue;
      const message = waiting.shift();
      if (message) deliver(message, taker);
    }
  }

  function deliver(message: TaskMessage, taker: Taker): void {
    let settled = false;
    let isGone = false;
    function settle(): boolean {
      if (settled) return false;
      settled = true;
      freeSlots.push(taker);
      scheduleHandOut();
      return true;
    }
    taker.onTask({
      message,
      ack() {
        settle();
      },
      ackEarly() {
        isGone = true;
      },
      requeue() {
        if (settle() && !isGone) waiting.push(message);
      },
    });
  }

  return {
    get depth() {
      return waiting.size;
    },
    add(message) {
      waiting.push(message);
      scheduleHandOut();
    },
    take(slots, onTask) {
      const taker: Taker = { stopped: false, onTask };
      for (let slot = 0; slot < slots; slot++) freeSlots.push(taker);
      scheduleHandOut();
      return {
        stop() {
          taker.stopped = true;
        },
      };
    },
    close() {
      closed = true;
    },
  };
}

/** `Array.shift` moves all that is left; with 100,000 waiting that is quadratic. This one moves it now and then. */
function createFifo<T>() {
  let items: T[] = [];
  let head = 0;
  return {
    get size() {
      return items.length - head;
    },
    push(item: T): void {
      items.push(item);
    },
    shift(): T | undefined {
      const item = items[head];
      if (head < items.length) head++;
      // Drop what was taken once it is the larger half: amortised, each item is moved at most once.
      if (head > 1024 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}

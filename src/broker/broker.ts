import type { TaskChange, TaskPriority, TaskProgress } from '../domain/task.ts';
import type { TaskMessage } from './messages.ts';

/**
 * The port through which tasks reach workers and changes reach subscribers.
 *
 * Messages are hints: an implementation may lose, duplicate or reorder them (a crash does), and no outcome may depend
 * on it. What it does promise is below, and `test/contract/broker-contract.ts` holds every implementation to it.
 */
export interface Broker {
  /** Whether a publish has a chance right now. */
  readonly ready: boolean;

  /** Whether messages travel, which takes about as long as a statement does. */
  readonly isRemote: boolean;

  /** Calls `listener` each time the broker becomes usable (again). Returns the way to stop it. */
  onReady(listener: () => void): () => void;

  /**
   * Hands tasks to their priority's queue. Resolves once every message is confirmed: stored durably, in a queue.
   * @throws BrokerUnavailable when one could not be confirmed in time; some of the others may have arrived all the same.
   */
  publishTasks(messages: readonly TaskMessage[]): Promise<void>;

  /**
   * Takes tasks from all three queues at once, never more than `slots[priority]` deliveries of each that are not settled.
   * Survives the loss of the connection or of a channel by consuming again. What it had delivered before then comes
   * again, to anyone, but counts until it is settled.
   * A priority with 0 slots is not consumed.
   */
  consumeTasks(options: {
    slots: Readonly<Record<TaskPriority, number>>;
    onTask: (delivery: TaskDelivery) => void;
  }): Promise<TaskConsumer>;

  /**
   * Number of messages that wait in the queue and have not been handed to a consumer; undefined where the broker did not
   * get to know in time. @throws BrokerUnavailable
   */
  queueDepth(priority: TaskPriority): Promise<number | undefined>;

  /** Announces changes, in this order. Best effort: never throws, and what gets lost is healed from the database. */
  publishEvents(changes: readonly TaskChange[]): void;

  /**
   * Announces how far runs are, in order with the changes that are announced before and after. Best effort: never
   * throws, and what gets lost is healed by the next report, or by the change that ends the run.
   */
  publishProgress(progress: readonly TaskProgress[]): void;

  /** A private stream of what is announced. It carries nothing until something is bound. */
  openEventStream(listener: EventStreamListener): Promise<EventStream>;

  /**
   * Hears of every change that ends a run from outside (`cancelsRun`) and of no other, in the order in which they are
   * announced. Once it resolves, all that are announced later will be delivered. While the broker is away it resolves at
   * once and takes effect, followed by `onGap`, when the broker is back.
   */
  openCancellations(listener: CancellationListener): Promise<Cancellations>;

  /** Stops everything. Unsettled deliveries go back to their queue. */
  close(): Promise<void>;
}

/** One message handed to this worker. Exactly one of `ack` and `requeue` settles it, once; a second call is ignored. */
export interface TaskDelivery {
  readonly message: TaskMessage;
  /** Done with it: it leaves the queue. */
  ack(): void;
  /** It leaves the queue already, but no other comes in its place until `ack` or `requeue`, which then mean the same. */
  ackEarly(): void;
  /** Could not deal with it: it goes back to the queue for anyone. */
  requeue(): void;
}

export interface TaskConsumer {
  /** Stops taking. Resolves when no further delivery will come; those already handed over can still be settled. */
  stop(): Promise<void>;
}

/** Who hears what a stream carries. */
export interface EventStreamListener {
  onChange(change: TaskChange): void;
  onProgress(progress: TaskProgress): void;
  /** Some of it may have been missed: the stream was cut and is whole again, bindings included. */
  onGap(): void;
}

export interface EventStream {
  /**
   * Adds a binding (`eventPattern`, `progressPattern`). Once it resolves, all that matches later will be delivered.
   * While the broker is away it resolves at once; the binding takes effect, followed by `onGap`, when the broker is back.
   */
  bind(pattern: string): Promise<void>;
  /** Takes a binding away. */
  unbind(pattern: string): Promise<void>;
  close(): Promise<void>;
}

/** Who hears which runs are cancelled. */
export interface CancellationListener {
  onCancelled(change: TaskChange): void;
  /** Some may have been missed, as with `EventStreamListener.onGap`. */
  onGap(): void;
}

export interface Cancellations {
  close(): Promise<void>;
}

/** The broker did not take it: not connected, or no confirmation in time. */
export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
}

import type { Releases } from '../src/shutdown.ts';
import type { ServerName, Servers } from './servers.ts';
import type { Starts } from './starts.ts';
import type { Child } from './streams/child.ts';

/** Something that takes tasks over HTTP and runs them, as a team would deploy it: an API process and a worker process. */
export interface Contender {
  readonly name: string;
  readonly needs: readonly ServerName[];
  /** Makes a fresh and empty place for it: no processes yet. */
  deploy(site: Site): Promise<Deployment>;
}

export interface Site {
  readonly servers: Servers;
  /** Belongs to nobody else: lower case, fit for a database, a namespace and a prefix. */
  readonly name: string;
  /** Everything that is opened goes here, so that nothing is left behind. */
  readonly releases: Releases;
  /** Where a library must be told what to be good at. */
  readonly favour: 'throughput' | 'latency';
}

export interface Deployment {
  /** How one no-op task is asked for. */
  readonly create: CreateRequest;
  startApi(options?: StartOptions): Promise<Api>;
  startWorker(options?: StartOptions): Promise<Worker>;
  /** Stores no-op tasks in bulk, the way that is quickest for it. Starts an API if it takes one. */
  enqueue(count: number): Promise<void>;
  /** Whether a task is not final yet; cheap enough to ask every few milliseconds. */
  hasOpen(): Promise<boolean>;
  completed(): Promise<Completed>;
  /** Told of each task that is COMPLETED, as a client would be; undefined where there is no such thing. */
  readonly watch: ((api: Api) => Promise<Watcher>) | undefined;
}

export interface CreateRequest {
  path: string;
  body: string;
  /** Other bodies to send in turn in its place. */
  bodies?: readonly string[];
  /** Of the answer. */
  status: number;
}

export interface StartOptions {
  /** More options of Node, such as `--cpu-prof`. */
  execArgv?: readonly string[];
}

export interface Api {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

export type Worker = Child<Starts>;

export interface Completed {
  count: number;
  /** When the last one was, in milliseconds of the Unix epoch, by the clock of this machine. */
  lastAt: number;
}

export interface Watcher {
  /** When each task was seen to be COMPLETED, by its id, in milliseconds of the shared clock. */
  seen(): Promise<ReadonlyMap<string, number>>;
}

/** What a body of every contender holds, so that all carry the same. */
export const TASK = { title: 'bench', payload: { durationMs: 0 } } as const;

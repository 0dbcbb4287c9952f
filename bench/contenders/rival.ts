import type { Api, Site, StartOptions, Worker } from '../contender.ts';
import type { ApiCommands } from '../rivals/serve-posts.ts';
import { type RivalSettings, toEnvironment } from '../rivals/settings.ts';
import type { Starts } from '../starts.ts';
import { startChild } from '../streams/child.ts';

/** The two processes of a rival: `rivals/<library>-api.ts` and `rivals/<library>-worker.ts`. */
export function rivalProcesses(library: string, settings: RivalSettings, { releases }: Site) {
  const env = toEnvironment(settings);
  return {
    async startApi({ execArgv = [] }: StartOptions = {}): Promise<Api> {
      const script = `bench/rivals/${library}-api.ts`;
      const api = startChild<ApiCommands>({ script, env, execArgv: [...MEMORY, ...execArgv] });
      releases.push('the API', api.stop, STOPPED_WITHIN_MS);
      return { pid: api.pid, url: await api.ask('url'), stop: api.stop };
    },
    async startWorker({ execArgv = [] }: StartOptions = {}): Promise<Worker> {
      const script = `bench/rivals/${library}-worker.ts`;
      const worker = startChild<Starts>({ script, env, execArgv: [...MEMORY, ...execArgv] });
      releases.push('the worker', worker.stop, STOPPED_WITHIN_MS);
      await worker.said('ready');
      return worker;
    },
  };
}

/** What this service is given. */
const MEMORY = ['--max-semi-space-size=16'];
const STOPPED_WITHIN_MS = 30_000;

/** For the body of a rival's POST. */
export function postOf(task: object) {
  return { path: '/', body: JSON.stringify(task), status: 201 };
}

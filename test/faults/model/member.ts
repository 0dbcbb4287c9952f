import type { Link } from '../../support/link.ts';
import { type ServiceProcess, startApi, startWorker } from '../../support/service-process.ts';
import { type Stage, setLink } from '../../support/stage.ts';

export type Server = 'postgres' | 'rabbit';
export type LinkFault = 'CUT' | 'REFUSE' | 'STALL';

/** One process of the service, or the one that has taken its place. */
export interface Member {
  /** Such as `worker 2`. */
  readonly name: string;
  readonly isWorker: boolean;
  /** Where its API answers, or did before it died. */
  readonly url: string;
  readonly pid: number;
  /** All processes that it has been, the present one last. */
  readonly processes: readonly ServiceProcess[];
  /** Something is being done to it. */
  busy: boolean;
  /** Rises with each change of how its way to RabbitMQ is; even while nothing gets through. */
  readonly rabbitEra: number;
  readonly rabbitIsDead: boolean;
  /** Resolves when it works. */
  start(): Promise<void>;
  crash(): Promise<void>;
  drain(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** @returns false when that way is harmed already: one thing at a time */
  harm(server: Server, how: LinkFault): Promise<boolean>;
  heal(server: Server): Promise<void>;
}

/** The grace period, and 15 s for a database that does not answer. */
const DRAINED_WITHIN_MS = 20_000;

/** @param onOffence told when it ends by itself, or not as it should */
export async function createMember(options: {
  name: string;
  stage: Stage;
  env: Record<string, string>;
  onOffence: (what: string) => void;
}): Promise<Member> {
  const { name, stage, onOffence } = options;
  const links: Record<Server, Link> = {
    postgres: await setLink(stage.env.DATABASE_URL),
    rabbit: await setLink(stage.env.RABBITMQ_URL),
  };
  const env = {
    ...options.env,
    DATABASE_URL: links.postgres.url,
    RABBITMQ_URL: links.rabbit.url,
  };
  const isWorker = name.startsWith('worker');
  const processes: ServiceProcess[] = [];
  const expected = new WeakSet<ServiceProcess>();
  const harmed = new Set<Server>();
  let url = '';
  let rabbitEra = 0;
  let rabbitIsDead = false;

  async function spawn(): Promise<ServiceProcess> {
    if (isWorker) return startWorker(env);
    const api = await startApi({ env });
    url = api.url;
    return api;
  }

  function current(): ServiceProcess {
    const service = processes.at(-1);
    if (service === undefined) throw new Error(`${name} was not started.`);
    return service;
  }

  return {
    name,
    isWorker,
    processes,
    busy: false,
    get url() {
      return url;
    },
    get pid() {
      return current().pid;
    },
    get rabbitEra() {
      return rabbitEra;
    },
    get rabbitIsDead() {
      return rabbitIsDead;
    },
    async start() {
      const service = await spawn();
      processes.push(service);
      void service.exited.then(({ code, signal }) => {
        if (!expected.has(service)) onOffence(`${name} ended by itself (${code ?? signal})`);
      });
    },
    async crash() {
      const service = current();
      expected.add(service);
      service.kill('SIGKILL');
      await service.exited;
    },
    async drain() {
      const service = current();
      expected.add(service);
      const killing = setTimeout(() => service.kill('SIGKILL'), DRAINED_WITHIN_MS);
      service.kill('SIGTERM');
      const { code, signal } = await service.exited;
      clearTimeout(killing);
      if (code !== 0) onOffence(`${name} ended with ${code ?? signal} after SIGTERM`);
    },
    signal: (signal) => current().kill(signal),
    async harm(server, how) {
      if (harmed.has(server)) return false;
      harmed.add(server);
      if (server === 'rabbit') rabbitEra += 1;
      if (how === 'CUT') links[server].cut();
      if (how === 'STALL') links[server].stall();
      if (how === 'REFUSE') await links[server].refuse();
      if (server === 'rabbit') rabbitIsDead = how !== 'CUT';
      return true;
    },
    async heal(server) {
      if (server === 'rabbit') {
        rabbitEra += 1;
        rabbitIsDead = false;
      }
      await links[server].heal();
      harmed.delete(server);
    },
  };
}

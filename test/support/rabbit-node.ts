import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inject, onTestFailed, onTestFinished, vi } from 'vitest';
import { accepts, answers } from './services.ts';

/** A RabbitMQ server of the test's own: what a test does to all of it harms nobody else. */
export interface RabbitNode {
  readonly url: string;
  /** Runs `rabbitmqctl`. @returns what it printed @throws Error with what it said, when it fails */
  ctl(...args: string[]): Promise<string>;
  /** Ends it as `kill -9` does; what it has stored stays. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port. Resolves when it takes connections. */
  start(): Promise<void>;
}

export interface RabbitSettings {
  /** How long a consumer may keep a message without acknowledging it. */
  consumerTimeoutSeconds?: number;
  /** How often it looks for such consumers; a minute when not given. */
  channelTickSeconds?: number;
}

/** Starts a server that is gone without a trace when the test ends, however it ends. */
export async function startRabbitNode(settings: RabbitSettings = {}): Promise<RabbitNode> {
  const home = await mkdtemp(join(tmpdir(), 'rabbit-node-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const [port, distributionPort, epmdPort] = await freePorts();
  const url = `amqp://guest:guest@127.0.0.1:${port}`;
  await writeConfig(home, port, settings);
  const env = environment(home, { port, distributionPort, epmdPort });

  // Its own one: RabbitMQ would leave the epmd that it starts running.
  const epmd = launch('epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], env);
  onTestFinished(epmd.kill);
  await untilUp(epmd, () => answers(epmdPort));

  let server: Launched | undefined;
  async function start(): Promise<void> {
    server = launch(serverPath(), [], env);
    await untilUp(server, () => accepts(url));
  }
  async function kill(): Promise<void> {
    await server?.kill();
  }
  onTestFinished(kill);
  onTestFailed(() => {
    process.stderr.write(`\nRabbitMQ said:\n${server?.output()}\n`);
  });
  await start();

  return {
    url,
    async ctl(...args) {
      const command = join(dirname(serverPath()), 'rabbitmqctl');
      const { stdout } = await run(command, ['--quiet', ...args], { env, timeout: 60_000 });
      return stdout.trim();
    },
    kill,
    start,
  };
}

const run = promisify(execFile);

function serverPath(): string {
  const { rabbitServer } = inject('services');
  if (rabbitServer === undefined) {
    throw new Error(
      'No RabbitMQ server to start. Install one with "apt-get install rabbitmq-server".',
    );
  }
  return rabbitServer;
}

async function writeConfig(home: string, port: number, settings: RabbitSettings): Promise<void> {
  const { consumerTimeoutSeconds, channelTickSeconds } = settings;
  const config = [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    'log.console.level = warning',
    ...(consumerTimeoutSeconds ? [`consumer_timeout = ${consumerTimeoutSeconds * 1_000}`] : []),
  ];
  const advanced = channelTickSeconds
    ? `[{rabbit, [{channel_tick_interval, ${channelTickSeconds * 1_000}}]}].\n`
    : '[].\n';
  await mkdir(join(home, 'conf.d'));
  await writeFile(join(home, 'rabbitmq.conf'), `${config.join('\n')}\n`);
  await writeFile(join(home, 'advanced.config'), advanced);
  await writeFile(join(home, 'enabled_plugins'), '[].\n');
  await writeFile(join(home, 'rabbitmq-env.conf'), '');
}

/** All that the scripts of RabbitMQ go by, so that nothing of this machine's own server is read or written. */
function environment(
  home: string,
  ports: { port: number; distributionPort: number; epmdPort: number },
): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    LC_ALL: 'C.UTF-8',
    // Where Erlang keeps the cookie by which `rabbitmqctl` is let in.
    HOME: home,
    RABBITMQ_NODENAME: `test-${randomUUID()}@localhost`,
    RABBITMQ_NODE_PORT: String(ports.port),
    RABBITMQ_DIST_PORT: String(ports.distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: String(ports.epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: join(home, 'data'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONF_ENV_FILE: join(home, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: join(home, 'conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(home, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'enabled_plugins'),
  };
}

interface Launched {
  readonly command: string;
  readonly ended: Promise<unknown>;
  output(): string;
  kill(): Promise<void>;
}

/**
 * Holds a program and all that it starts in one process group, which dies when the program does, and when its standard
 * input ends: also when this process is killed and can clean up nothing.
 */
const TIED = '{ "$@"; kill -9 0; } & read -r _; kill -9 0';

function launch(command: string, args: string[], env: Record<string, string>): Launched {
  const child: ChildProcess = spawn('sh', ['-c', TIED, 'sh', command, ...args], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const said: string[] = [];
  for (const output of [child.stdout, child.stderr]) {
    output?.setEncoding('utf8').on('data', (text: string) => said.push(text));
  }
  const ended = once(child, 'close');
  // Seen by those who wait for it; a program that could not be started fails them.
  ended.catch(() => {});

  return {
    command,
    ended,
    output: () => said.join(''),
    async kill() {
      child.stdin?.end();
      await ended;
    },
  };
}

async function untilUp(
  { command, ended, output }: Launched,
  isUp: () => Promise<boolean>,
): Promise<void> {
  const up = vi.waitFor(
    async () => {
      if (!(await isUp())) throw new Error(`${command} does not answer. It said:\n${output()}`);
    },
    { timeout: 60_000, interval: 50 },
  );
  const down = ended.then(() => {
    throw new Error(`${command} has ended. It said:\n${output()}`);
  });
  await Promise.race([up, down]);
}

/**
 * Outside the range from which systems pick the ports of outgoing connections: a client that looks for a server which
 * is down must neither take its port nor, as TCP allows, connect to itself.
 */
async function freePorts(): Promise<[number, number, number]> {
  const servers = [await listenSomewhere(), await listenSomewhere(), await listenSomewhere()];
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  const [one = 0, two = 0, three = 0] = ports;
  return [one, two, three];
}

async function listenSomewhere(): Promise<Server> {
  for (;;) {
    const server = createServer();
    try {
      server.listen(randomInt(10_000, 32_000), '127.0.0.1');
      await once(server, 'listening');
      return server;
    } catch {
      // Taken: the next one, then.
    }
  }
}

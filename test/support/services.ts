import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the suites need besides PostgreSQL, which is embedded; undefined where this machine has none. */
export interface Services {
  rabbitmqUrl: string | undefined;
  /** Path of a Chromium. */
  chromium: string | undefined;
  /** Path of a `rabbitmq-server` with which a test can start a RabbitMQ of its own. */
  rabbitServer: string | undefined;
}

/** A service that is missing: what needs it, and the command that provides it. */
export interface Missing {
  service: string;
  /** The test files that cannot run. */
  pattern: string;
  remedy: string;
}

const CHROMIUM_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/**
 * The scripts themselves, before what may be on the PATH: packages put a wrapper there that insists on the system's own
 * user and folders.
 */
const RABBIT_SERVER_FOLDERS = [
  '/usr/lib/rabbitmq/bin',
  '/opt/rabbitmq/sbin',
  '/opt/homebrew/opt/rabbitmq/sbin',
  '/usr/local/opt/rabbitmq/sbin',
  ...(process.env.PATH ?? '').split(delimiter),
];

/**
 * Finds RabbitMQ (`TEST_RABBITMQ_URL`, else this machine's, else one started through Docker Compose), Chromium
 * (`TEST_CHROMIUM`, else where systems keep it) and a RabbitMQ server to start (`TEST_RABBITMQ_SERVER`, likewise).
 */
export async function findServices(): Promise<Services> {
  const { TEST_RABBITMQ_URL, TEST_CHROMIUM, TEST_RABBITMQ_SERVER } = process.env;
  return {
    rabbitmqUrl: TEST_RABBITMQ_URL || (await findRabbit()),
    chromium: TEST_CHROMIUM || CHROMIUM_PATHS.find(existsSync),
    rabbitServer: TEST_RABBITMQ_SERVER || findRabbitServer(),
  };
}

export function missingServices({ rabbitmqUrl, chromium, rabbitServer }: Services): Missing[] {
  return [
    ...(rabbitmqUrl === undefined
      ? [
          {
            service: 'RabbitMQ',
            pattern: '**/*.rabbitmq.test.ts',
            remedy: 'make api-only, or set TEST_RABBITMQ_URL',
          },
        ]
      : []),
    ...(chromium === undefined
      ? [
          {
            service: 'Chromium',
            pattern: '**/*.browser.test.ts',
            remedy: 'apt-get install chromium, or set TEST_CHROMIUM',
          },
        ]
      : []),
    ...(rabbitServer === undefined
      ? [
          {
            service: 'a RabbitMQ server to start',
            pattern: '**/*.rabbit-node.test.ts',
            remedy: 'apt-get install rabbitmq-server, or set TEST_RABBITMQ_SERVER',
          },
        ]
      : []),
  ];
}

const LOCAL_RABBIT = 'amqp://guest:guest@127.0.0.1:5672';
const COMPOSE_RABBIT = 'amqp://tasks:tasks@127.0.0.1:5672';

async function findRabbit(): Promise<string | undefined> {
  if (await answers(5_672)) return (await accepts(LOCAL_RABBIT)) ? LOCAL_RABBIT : COMPOSE_RABBIT;
  try {
    await run('docker', ['compose', 'up', '--detach', '--wait', 'rabbitmq'], { timeout: 120_000 });
    return COMPOSE_RABBIT;
  } catch {
    return undefined;
  }
}

function findRabbitServer(): string | undefined {
  return RABBIT_SERVER_FOLDERS.map((folder) => join(folder, 'rabbitmq-server')).find(existsSync);
}

/** Whether a RabbitMQ is there and lets us in. */
export async function accepts(url: string): Promise<boolean> {
  const amqp = await import('amqplib');
  try {
    await (await amqp.connect(url, { timeout: 2_000 })).close();
    return true;
  } catch {
    return false;
  }
}

/** Whether anything listens there on this machine. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    const finish = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.on('connect', () => finish(true));
    socket.on('error', () => finish(false));
    socket.on('timeout', () => finish(false));
  });
}

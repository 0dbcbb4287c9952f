import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import pg from 'pg';

export type ServerName = 'PostgreSQL' | 'RabbitMQ' | 'Redis';

export interface Server {
  url: string;
  /** Its version, and what of its settings decides over speed. */
  description: string;
}

/** Those that answer. */
export type Servers = Readonly<Partial<Record<ServerName, Server>>>;

/** Asks for the servers of the environment, or the usual ones of this machine; those that are missing are told of. */
export async function findServers(tell: (line: string) => void): Promise<Servers> {
  const servers: Partial<Record<ServerName, Server>> = {};
  for (const [name, { url, describe }] of Object.entries(CANDIDATES) as [ServerName, Candidate][]) {
    try {
      servers[name] = { url, description: await describe(url) };
    } catch (error) {
      tell(`${name} does not answer at ${withoutPassword(url)}: ${reasonOf(error)}`);
    }
  }
  return servers;
}

/** @throws when it is not there: whoever needs it has to be left out before */
export function urlOf(servers: Servers, name: ServerName): string {
  const server = servers[name];
  if (server === undefined) throw new Error(`${name} is missing.`);
  return server.url;
}

interface Candidate {
  url: string;
  describe(url: string): Promise<string>;
}

const { DATABASE_URL, RABBITMQ_URL, REDIS_URL } = process.env;

const CANDIDATES: Record<ServerName, Candidate> = {
  PostgreSQL: {
    url: DATABASE_URL || 'postgresql://postgres@127.0.0.1:5432/postgres',
    async describe(url) {
      const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
      await client.connect();
      try {
        const { rows } = await client.query<Record<string, string>>(
          `select current_setting('server_version') as version, current_setting('fsync') as fsync,
             current_setting('synchronous_commit') as commit, current_setting('shared_buffers') as buffers,
             current_setting('autovacuum') as autovacuum`,
        );
        const { version = '', fsync, commit, buffers, autovacuum } = rows[0] ?? {};
        const [number] = version.split(' ');
        return `${number}, fsync ${fsync}, synchronous_commit ${commit}, shared_buffers ${buffers}, autovacuum ${autovacuum}`;
      } finally {
        await client.end();
      }
    },
  },
  RabbitMQ: {
    url: RABBITMQ_URL || 'amqp://guest:guest@127.0.0.1:5672',
    async describe(url) {
      const connection = await connect(url, { timeout: 2_000 });
      const { version } = connection.connection.serverProperties;
      await connection.close();
      return String(version);
    },
  },
  Redis: {
    url: REDIS_URL || 'redis://127.0.0.1:6379',
    async describe(url) {
      const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
      redis.on('error', () => {});
      try {
        await redis.connect();
        const [, version] = /redis_version:(\S+)/.exec(await redis.info('server')) ?? [];
        const [, appendOnly] = (await redis.config('GET', 'appendonly')) as string[];
        const [, fsync] = (await redis.config('GET', 'appendfsync')) as string[];
        const [, save] = (await redis.config('GET', 'save')) as string[];
        const log = appendOnly === 'yes' ? `appendonly, fsync ${fsync}` : 'no appendonly file';
        return `${version}, ${log}, ${save === '' ? 'no snapshots' : `snapshots ${save}`}`;
      } finally {
        redis.disconnect();
      }
    },
  },
};

function withoutPassword(url: string): string {
  return Object.assign(new URL(url), { password: '' }).href;
}

function reasonOf(error: unknown): string {
  // Node gives no message of its own when each address of a name refused.
  const { message, code } = error as NodeJS.ErrnoException;
  return message || String(code);
}

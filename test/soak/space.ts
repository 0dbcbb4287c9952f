import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Channel, connect } from 'amqplib';
import pg from 'pg';
import { type RabbitNames, rabbitNames } from '../../src/broker/rabbit-names.ts';

const run = promisify(execFile);

/** A database, and a namespace and a user in RabbitMQ, that belong to one run. */
export interface Space {
  readonly databaseUrl: string;
  readonly rabbitUrl: string;
  readonly names: RabbitNames;
  /** Past the service and past every proxy. */
  readonly sql: pg.Pool;
  /** Does something on a channel of its own. What is not there to be broken is no error. */
  onRabbit(act: (channel: Channel) => Promise<unknown>): Promise<void>;
  /** Closes every connection of the service; undefined where `rabbitmqctl` is not at hand. */
  readonly closeRabbitConnections: (() => Promise<void>) | undefined;
  /** Leaves nothing behind. */
  drop(): Promise<void>;
}

/** @param name of the database, the namespace and the user: lower case, no blanks */
export async function openSpace(name: string): Promise<Space> {
  const server = process.env.DATABASE_URL || 'postgresql://postgres@127.0.0.1:5432/postgres';
  const rabbit = new URL(process.env.RABBITMQ_URL || 'amqp://guest:guest@127.0.0.1:5672');
  const names = rabbitNames(name);
  await onServer(server, `create database ${name}`);
  const connection = await connect(rabbit.href);
  connection.on('error', () => {});
  const hasUser = await addRabbitUser(name);
  const serviceUrl = new URL(rabbit);
  serviceUrl.searchParams.set('namespace', name);
  // A user of its own, so that all connections of the service can be closed, and nobody else's.
  if (hasUser) Object.assign(serviceUrl, { username: name, password: name });
  const databaseUrl = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 2, application_name: 'soak' });
  sql.on('error', () => {});

  async function onRabbit(act: (channel: Channel) => Promise<unknown>): Promise<void> {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    // A failure closes the channel; closing it again would fail as well.
    await act(channel).then(
      () => channel.close(),
      () => {},
    );
  }

  return {
    databaseUrl,
    rabbitUrl: serviceUrl.href,
    names,
    sql,
    onRabbit,
    closeRabbitConnections: hasUser
      ? async () => {
          await run('rabbitmqctl', ['close_all_user_connections', name, 'soak']);
        }
      : undefined,
    async drop() {
      for (const queue of [...Object.values(names.taskQueue), names.dead]) {
        await onRabbit((channel) => channel.deleteQueue(queue));
      }
      for (const exchange of [
        names.tasksExchange,
        names.dead,
        names.eventsExchange,
        names.cancellationsExchange,
      ]) {
        await onRabbit((channel) => channel.deleteExchange(exchange));
      }
      await connection.close();
      if (hasUser) await run('rabbitmqctl', ['delete_user', name]);
      await sql.end();
      await onServer(server, `drop database if exists ${name} with (force)`);
    },
  };
}

async function addRabbitUser(name: string): Promise<boolean> {
  try {
    await run('rabbitmqctl', ['add_user', name, name]);
    await run('rabbitmqctl', ['set_permissions', name, '.*', '.*', '.*']);
    return true;
  } catch {
    return false;
  }
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

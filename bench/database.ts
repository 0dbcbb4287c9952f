import pg from 'pg';
import type { Site } from './contender.ts';
import { urlOf } from './servers.ts';

/** An empty database that is dropped at the end. */
export async function createDatabase({ servers, name, releases }: Site): Promise<BenchDatabase> {
  const server = urlOf(servers, 'PostgreSQL');
  await onServer(server, `create database ${name}`);
  releases.push(
    'the database',
    () => onServer(server, `drop database if exists ${name} with (force)`),
    DROPPED_WITHIN_MS,
  );
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  const sql = new pg.Pool({ connectionString: url, max: 4 });
  sql.on('error', () => {});
  releases.push('the connections', () => sql.end());
  return { url, sql };
}

export interface BenchDatabase {
  url: string;
  sql: pg.Pool;
}

/** A checkpoint can be in the way. */
const DROPPED_WITHIN_MS = 30_000;

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

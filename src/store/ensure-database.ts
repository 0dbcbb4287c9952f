import pg from 'pg';
import { databaseName, withDatabase } from './database-url.ts';

/**
 * Creates the database that the URL names, unless it is there; resolves to whether it did. Two callers at once are fine.
 * Connects to the server's `postgres` database to do so, with the URL's account.
 */
export async function ensureDatabase(url: string): Promise<boolean> {
  const client = new pg.Client({
    connectionString: withDatabase(url, 'postgres'),
    connectionTimeoutMillis: 10_000,
  });
  await client.connect();
  try {
    const name = databaseName(url);
    const found = await client.query('select from pg_database where datname = $1', [name]);
    if (found.rowCount) return false;
    await client.query(`create database ${client.escapeIdentifier(name)}`);
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && ALREADY_THERE.has(error.code ?? '')) return false;
    throw error;
  } finally {
    await client.end();
  }
}

/** duplicate_database; and unique_violation in pg_database, which is what the slower of two at once can get. */
const ALREADY_THERE = new Set(['42P04', '23505']);

import { type AppError, serviceUnavailable } from '../domain/errors.ts';

/** Codes of node and of PostgreSQL that say: not the statement is wrong, the server is not there for it. */
const AWAY_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  '28000', // invalid_authorization_specification
  '28P01', // invalid_password: while a password is changed, say
  '3D000', // invalid_catalog_name: the database is not there yet
  '57014', // query_canceled: statement_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25006', // read_only_sql_transaction: a primary that became a standby
  '53100', // disk_full
  '53300', // too_many_connections
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  'P1000', // Prisma: authentication failed
  'P1003', // Prisma: database does not exist
  'P1001', // Prisma: can't reach database server
  'P1002', // Prisma: timed out
  'P1008', // Prisma: operation timed out
  'P1017', // Prisma: server has closed the connection
  'P2024', // Prisma: no connection from the pool in time
]);

/** What pg says without a code. */
const AWAY_MESSAGES =
  /timeout exceeded when trying to connect|Query read timeout|Connection terminated|Client has encountered a connection error|Cannot use a pool after calling end/;

/** The error for clients when `error` means that the database is away; undefined when it means anything else. */
export function databaseUnavailable(error: unknown): AppError | undefined {
  return chain(error).some(saysAway) ? serviceUnavailable('The database', error) : undefined;
}

function saysAway(error: object): boolean {
  if ('code' in error && typeof error.code === 'string') {
    if (AWAY_CODES.has(error.code) || error.code.startsWith('08')) return true;
  }
  return 'message' in error && AWAY_MESSAGES.test(String(error.message));
}

/** The error and all that caused it: adapters wrap what the driver threw, and Node tries several addresses. */
function chain(error: unknown, depth = 0): object[] {
  if (typeof error !== 'object' || error === null || depth > 5) return [];
  const causes = [
    'cause' in error ? error.cause : undefined,
    ...(error instanceof AggregateError ? error.errors : []),
  ];
  return [error, ...causes.flatMap((cause) => chain(cause, depth + 1))];
}

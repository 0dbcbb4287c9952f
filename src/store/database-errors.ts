import pg from 'pg';
import { type AppError, serviceUnavailable } from '../domain/errors.ts';

/** Classes of PostgreSQL's codes that say: not the statement is wrong, the server is not there for it. */
const AWAY_CLASSES = [
  '08', // connection_exception
  '28', // invalid_authorization_specification: while a password is changed, say
  '53', // insufficient_resources: disk, memory, connections
  '57', // operator_intervention: shutdown, statement_timeout, a database that was dropped
  '58', // system_error
];

/** Single codes of node and of PostgreSQL that say so. */
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
  '3D000', // invalid_catalog_name: the database is not there yet
  '25P03', // idle_in_transaction_session_timeout
  '55000', // object_not_in_prerequisite_state: the database takes no connections
  '25006', // read_only_sql_transaction: a primary that became a standby
  'P1000', // Prisma: authentication failed
  'P1003', // Prisma: database does not exist
  'P1001', // Prisma: can't reach database server
  'P1002', // Prisma: timed out
  'P1008', // Prisma: operation timed out
  'P1011', // Prisma: no TLS connection
  'P1017', // Prisma: server has closed the connection
  'P2024', // Prisma: no connection from the pool in time
  'P2037', // Prisma: too many connections
]);

/** What pg says without a code. */
const AWAY_MESSAGES =
  /timeout exceeded when trying to connect|Query read timeout|Connection terminated|Client has encountered a connection error|Cannot use a pool after calling end/;

/** The error for clients when `error` means that the database is away; undefined when it means anything else. */
export function databaseUnavailable(error: unknown): AppError | undefined {
  return chain(error).some(saysAway) ? serviceUnavailable('The database', error) : undefined;
}

/** Whether PostgreSQL refused what was asked, so that its connection is as good as before. */
export function isStatementsOwn(error: unknown): boolean {
  return error instanceof pg.DatabaseError && OWN_CLASSES.includes(error.code?.slice(0, 2) ?? '');
}

/** data_exception, integrity_constraint_violation, syntax_error_or_access_rule_violation */
const OWN_CLASSES = ['22', '23', '42'];

/** Whether PostgreSQL will never take what it was given, however often it is asked. */
export function isRefusedForGood(error: unknown): boolean {
  return error instanceof pg.DatabaseError && VALUE_CLASSES.includes(error.code?.slice(0, 2) ?? '');
}

/** data_exception, integrity_constraint_violation, program_limit_exceeded */
const VALUE_CLASSES = ['22', '23', '54'];

function saysAway(error: object): boolean {
  // Prisma has a code of its own in the place of PostgreSQL's.
  const codes = ['code' in error && error.code, 'originalCode' in error && error.originalCode];
  if (codes.some((code) => typeof code === 'string' && isAwayCode(code))) return true;
  return 'message' in error && AWAY_MESSAGES.test(String(error.message));
}

function isAwayCode(code: string): boolean {
  if (AWAY_CODES.has(code)) return true;
  return code.length === SQLSTATE_LENGTH && AWAY_CLASSES.includes(code.slice(0, 2));
}

const SQLSTATE_LENGTH = 5;

/** The error and all that caused it: adapters wrap what the driver threw, and Node tries several addresses. */
function chain(error: unknown, depth = 0): object[] {
  if (typeof error !== 'object' || error === null || depth > 5) return [];
  const meta = 'meta' in error && typeof error.meta === 'object' ? (error.meta ?? {}) : {};
  const causes = [
    'cause' in error ? error.cause : undefined,
    // Where Prisma has it.
    'driverAdapterError' in meta ? meta.driverAdapterError : undefined,
    ...(error instanceof AggregateError ? error.errors : []),
  ];
  return [error, ...causes.flatMap((cause) => chain(cause, depth + 1))];
}

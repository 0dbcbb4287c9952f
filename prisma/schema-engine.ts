/**
 * Answers Prisma's CLI the way its native schema engine does: JSON-RPC, one message a line, on stdin and stdout,
 * or `cli <command>` with an exit code. Started by `schema-engine` beside this file; prisma.config.ts says why.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { z } from 'zod';
import { ensureDatabase } from '../src/store/ensure-database.ts';
import { type OpenSchemaEngine, openSchemaEngine } from '../src/store/schema-engine.ts';

const Datasource = z.object({ url: z.string().optional() });
const Request = z.object({ id: z.number(), method: z.string(), params: z.unknown().optional() });
const Printed = z.object({ stdout: z.string() });

const { values, positionals } = parseArgs({
  options: {
    datamodels: { type: 'string', multiple: true },
    datasource: { type: 'string' },
    'enabled-preview-features': { type: 'string' },
    'extension-types': { type: 'string' },
  },
  allowPositionals: true,
});
const { url } = Datasource.parse(JSON.parse(values.datasource ?? '{}'));

const [mode, command] = positionals;
if (mode === 'cli') await runCommand(command);
else await serve();

/** Failure is an exit code of 1 and one line of JSON on stderr, which the CLI reads Prisma's error code from. */
async function runCommand(name: string | undefined) {
  try {
    if (!url) throw new Error('The schema engine was started without a database URL');
    if (name === 'can-connect-to-database') await connectOnce(url);
    else if (name === 'create-database') await ensureDatabase(url);
    else throw new Error(`The schema engine has no command ${name}`);
  } catch (error) {
    logError({ error_code: connectErrorCode(error), message: messageOf(error) });
    process.exitCode = 1;
  }
}

async function connectOnce(connectionString: string) {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000 });
  await client.connect();
  await client.end();
}

/** https://www.prisma.io/docs/orm/reference/error-reference: P1003 makes the CLI create the database. */
function connectErrorCode(error: unknown): string {
  const sqlState = error instanceof pg.DatabaseError ? error.code : undefined;
  if (sqlState === '3D000') return 'P1003';
  if (sqlState === '28P01' || sqlState === '28000') return 'P1000';
  return 'P1001';
}

/** Answers until stdin ends. The engine starts with the first request, so that its failure has a request to answer. */
async function serve() {
  const crashed = nextCrash();
  let opening: Promise<OpenSchemaEngine> | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = Request.safeParse(JSON.parse(line));
    // What is no request is the CLI's acknowledgement of a `print`.
    if (!request.success) continue;
    const { id, method, params } = request.data;
    opening ??= openSchemaEngine({ databaseUrl: url, datamodels: readDatamodels() });
    try {
      const result = await Promise.race([call(opening, method, params), crashed]);
      send({ id, result: result ?? null });
    } catch (error) {
      const opened = await Promise.race([opening, crashed]).catch(() => undefined);
      await opened?.dropShadowDatabases();
      send({ id, error: rpcError(error) });
    }
  }
  const opened = await Promise.race([opening, crashed]).catch(() => undefined);
  await opened?.close();
}

/** Rejects when the engine crashes: it throws in a task of its own then, and leaves the call open for ever. */
function nextCrash(): Promise<never> {
  const crashed = new Promise<never>((_, reject) => process.once('uncaughtException', reject));
  crashed.catch(() => {});
  return crashed;
}

/** The engine tells none (undefined) from an empty list, which crashes it. */
function readDatamodels() {
  return values.datamodels?.map((path): [string, string] => [path, readFileSync(path, 'utf8')]);
}

async function call(opening: Promise<OpenSchemaEngine>, method: string, params: unknown) {
  const { engine, dropShadowDatabases } = await opening;
  const run: unknown = Reflect.get(engine, method === 'getDatabaseVersion' ? 'version' : method);
  if (typeof run !== 'function') throw new Error(`The schema engine has no method ${method}`);
  const result: unknown = await Reflect.apply(run, engine, [params]);
  // Before the answer: the CLI kills this process as soon as it has got what it wants.
  await dropShadowDatabases();
  // The native engine has its caller print the output of `migrate diff` rather than returning it.
  const printed = Printed.safeParse(result);
  if (printed.success) send({ id: 0, method: 'print', params: { content: printed.data.stdout } });
  return result;
}

function rpcError(error: unknown) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const message = messageOf(error);
  return { code: 4466, message, data: { is_panic: false, message, error_code: code, meta: {} } };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function send(message: object) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

function logError(fields: object) {
  const entry = { level: 'ERROR', target: 'schema_engine::logger', fields };
  // The CLI skips the first line of what it reads.
  process.stderr.write(`\n${JSON.stringify(entry)}\n`);
}

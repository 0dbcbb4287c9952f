import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  bindMigrationAwareSqlAdapterFactory,
  type ErrorRegistry,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { createMigrationAdapter } from './migration-adapter.ts';

/** Prisma's schema engine, and the way to let go of what it holds in the database. */
export interface OpenSchemaEngine {
  readonly engine: SchemaEngine;
  /** Drops the shadow databases that the calls so far have left behind. */
  dropShadowDatabases(): Promise<void>;
  /** Also closes the connection, and with it gives up Prisma's advisory lock. */
  close(): Promise<void>;
}

/**
 * Starts Prisma's schema engine inside this process: the WebAssembly build, which is the code of the native binary
 * that the CLI would download, talking to PostgreSQL through `pg`. It connects at once.
 * @param datamodels pairs of file name and content; only commands that compare with a schema need them.
 */
export async function openSchemaEngine({
  databaseUrl,
  datamodels,
  onLog = () => {},
}: {
  databaseUrl: string | undefined;
  datamodels?: [string, string][] | undefined;
  onLog?: (line: string) => void;
}): Promise<OpenSchemaEngine> {
  const { SchemaEngine } = await loadEngine();
  const adapter = createMigrationAdapter(databaseUrl);
  const bound = bindMigrationAwareSqlAdapterFactory(adapter);
  try {
    const engine = await SchemaEngine.new({ datamodels }, onLog, bound);
    return { engine, dropShadowDatabases: adapter.dropShadowDatabases, close: adapter.close };
  } catch (error) {
    await adapter.close();
    throw originalError(error, bound);
  }
}

/** A failure that is not PostgreSQL's own passes through the engine as a number; this gets it back. */
function originalError(error: unknown, { errorRegistry }: { errorRegistry: ErrorRegistry }) {
  const id = error instanceof Error && /^External error id#(\d+)/.exec(error.message)?.[1];
  return id ? errorRegistry.consumeError(Number(id))?.error : error;
}

// TypeScript declares it in its DOM library only, which has no place in a server.
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, unknown>,
  ): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

let loading: Promise<typeof import('@prisma/schema-engine-wasm/schema_engine_bg')> | undefined;

/** Once per process: the generated bindings hold one WebAssembly instance in a module variable. */
function loadEngine() {
  loading ??= instantiate();
  return loading;
}

async function instantiate() {
  // Where the engine tells of a crash of its own. It cannot answer the call after that, so this is for all to see.
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: crash } });
  const bindings = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  const path = createRequire(import.meta.url)
    .resolve('@prisma/schema-engine-wasm/schema_engine_bg')
    .replace(/\.js$/, '.wasm');
  // Not `import … from '….wasm'`, as the package's front door does: Node warns that it is experimental.
  const { instance } = await WebAssembly.instantiate(await readFile(path), {
    './schema_engine_bg.js': { ...bindings, ...idleTimeouts(bindings) },
  });
  bindings.__wbg_set_wasm(instance.exports);
  const start = instance.exports.__wbindgen_start;
  if (typeof start !== 'function') throw new Error(`${path} is not what Prisma 7.10 ships`);
  start();
  return bindings;
}

/** The engine forgets to clear the ten-second timeout for its lock, which would hold up the end of the process. */
function idleTimeouts(bindings: object) {
  const names = Object.keys(bindings).filter((name) => name.startsWith('__wbg_setTimeout_'));
  const start = (run: () => void, ms: number) => setTimeout(run, ms).unref();
  return Object.fromEntries(names.map((name) => [name, start]));
}

function crash(message: string): never {
  throw new Error(`Prisma's schema engine crashed: ${message}`);
}

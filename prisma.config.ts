import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'prisma/config';

const atRoot = (path: string) => fileURLToPath(new URL(path, import.meta.url));

if (existsSync(atRoot('.env'))) process.loadEnvFile(atRoot('.env'));

// The CLI would download a native engine at its first use. Ours is Prisma's WebAssembly build of the same code.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= atRoot('prisma/schema-engine');

// `generate` and `validate` need no database; what does need one says that the URL is missing.
const url = process.env.DATABASE_URL?.replace(/^postgres(ql)?\+asyncpg:/, 'postgresql:');

export default defineConfig({
  schema: atRoot('prisma/schema.prisma'),
  migrations: { path: atRoot('prisma/migrations') },
  ...(url ? { datasource: { url } } : {}),
});

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { generate } from '@graphql-codegen/cli';
import { printSchema } from 'graphql';
import { createSchema } from './src/graphql/schema.ts';

const atRoot = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// The contract, checked in: a change of the API shows in its diff, and a test tells when it is stale.
if (!process.argv.includes('--documents')) {
  await writeFile(atRoot('schema.graphql'), `${printSchema(createSchema())}\n`);
}

// What the clients in this repository ask, with its types.
await generate({
  schema: atRoot('schema.graphql'),
  documents: atRoot('test/**/*.ts'),
  ignoreNoDocuments: true,
  silent: true,
  generates: {
    [atRoot('test/generated/')]: {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        enumsAsTypes: true,
        useTypeImports: true,
        importExtension: '.ts',
        scalars: { DateTime: 'string', JSON: 'unknown' },
      },
    },
  },
});

import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

/** Who may import what, besides its own folder. Each line may use those listed and nothing else. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  store: ['domain'],
  broker: ['domain'],
  tasks: ['store', 'broker', 'domain'],
  worker: ['tasks', 'store', 'broker', 'domain'],
  graphql: ['tasks', 'store', 'broker', 'domain'],
  rest: ['tasks', 'store', 'broker', 'domain'],
  dashboard: ['tasks', 'store', 'broker', 'domain'],
  http: ['dashboard', 'graphql', 'rest', 'tasks', 'store', 'broker', 'domain'],
};

/** Packages and globals that belong to one place. */
const ONLY_IN: { what: string; pattern: RegExp; files: RegExp }[] = [
  { what: 'amqplib', pattern: /from 'amqplib/, files: /^src\/broker\/rabbit-/ },
  { what: 'process.env', pattern: /process\.env/, files: /^src\/config\.ts$/ },
  {
    what: 'the generated client',
    pattern: /\/generated\//,
    files: /^src\/(store\/|graphql\/builder\.ts$)/,
  },
];

const sources = globSync('src/**/*.ts', { exclude: ['src/generated/**'] }).map((path) => ({
  path,
  folder: folderOf(path),
  text: readFileSync(path, 'utf8'),
}));

describe('the architecture', () => {
  test('knows every folder', () => {
    const folders = new Set(sources.map(({ folder }) => folder).filter((name) => name !== ''));
    expect([...folders].sort()).toEqual(Object.keys(MAY_IMPORT).sort());
  });

  test('lets imports point down only', () => {
    const wrong = sources.flatMap(({ path, folder, text }) =>
      importsOf(path, text)
        .filter((imported) => !mayImport(folder, imported))
        .map((imported) => `${path} imports ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  test.each(ONLY_IN)('keeps $what in its place', ({ pattern, files }) => {
    const users = sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
    expect(users).not.toEqual([]);
    expect(users.filter((path) => !files.test(path))).toEqual([]);
  });

  test('has no file of more than 300 lines, and none with a name that says nothing', () => {
    const long = sources.filter(({ text }) => text.split('\n').length > 300);
    expect(long.map(({ path }) => path)).toEqual([]);
    const vague = /(^|\/)(utils?|helpers?|types?|common|manager|index)\.ts$/;
    expect(sources.filter(({ path }) => vague.test(path)).map(({ path }) => path)).toEqual([]);
  });

  test('has no import that goes round in a circle', () => {
    const graph = new Map(sources.map(({ path, text }) => [path, importsOf(path, text)]));
    const circles = [...graph.keys()].filter((path) => reaches(graph, path, path));
    expect(circles).toEqual([]);
  });
});

function folderOf(path: string): string {
  const [, folder, file] = path.split('/');
  return file === undefined || folder === undefined ? '' : folder;
}

function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/(?:from|import) ?\(?'(\.[^']+)'/g)].map(([, specifier]) =>
    normalize(join(dirname(path), String(specifier))),
  );
}

function mayImport(folder: string, imported: string): boolean {
  const target = folderOf(imported);
  if (folder === '' || target === folder || target === 'generated') return true;
  return (MAY_IMPORT[folder] ?? []).includes(target);
}

function reaches(
  graph: Map<string, string[]>,
  from: string,
  to: string,
  seen = new Set(),
): boolean {
  return (graph.get(from) ?? []).some((next) => {
    if (next === to) return true;
    if (seen.has(next)) return false;
    seen.add(next);
    return reaches(graph, next, to, seen);
  });
}

import { describe, expect, test } from 'vitest';
import { createBindings } from '../../src/tasks/event-bindings.ts';

/** Bindings, and what is bound at the broker by now: `*` is all. */
function createWatched() {
  const bound: string[] = [];
  const stream = {
    async bind(pattern: string) {
      bound.push(pattern);
    },
    async unbind(pattern: string) {
      const at = bound.indexOf(pattern);
      if (at === -1) throw new Error(`${pattern} is not bound`);
      bound.splice(at, 1);
    },
  };
  return { bindings: createBindings({ stream, patternOf: (key = '*') => key }), bound };
}

const names = Array.from({ length: 600 }, (_, n) => `task ${n}`);

describe('bindings', () => {
  test('hold what is watched, and nothing when nothing is', async () => {
    const { bindings, bound } = createWatched();
    await bindings.bind('one');
    await bindings.bind('two');
    expect(bound).toEqual(['one', 'two']);
    bindings.unbind('one');
    bindings.unbind('two');
    expect(bound).toEqual([]);
  });

  test('are one for all when all are watched, and those that are left after that', async () => {
    const { bindings, bound } = createWatched();
    await bindings.bind('one');
    await bindings.bindAll();
    await bindings.bind('two');
    expect(bound).toEqual(['*']);
    bindings.unbind('one');
    bindings.unbindAll();
    expect(bound).toEqual(['two']);
  });

  test('are one for all when there would be too many, until there are few', async () => {
    const { bindings, bound } = createWatched();
    for (const name of names) await bindings.bind(name);
    expect(bound).toEqual(['*']);
    for (const name of names.slice(0, 300)) bindings.unbind(name);
    expect(bound).toEqual(['*']);
    for (const name of names.slice(300, 360)) bindings.unbind(name);
    expect(bound.sort()).toEqual(names.slice(360).sort().slice(0, 240));
    for (const name of names.slice(360)) bindings.unbind(name);
    expect(bound).toEqual([]);
  });

  test('stay one for all while there are many, though nobody watches all any more', async () => {
    const { bindings, bound } = createWatched();
    for (const name of names) await bindings.bind(name);
    await bindings.bindAll();
    bindings.unbindAll();
    expect(bound).toEqual(['*']);
  });
});

import { expect, test } from 'vitest';
import { matchesFilter } from '../../src/domain/task-filter.ts';
import { makeTaskChange } from '../support/task-changes.ts';

test.each([
  ['Red CAR', 'car'],
  ['ΟΔΟΣΑ', 'ΟΔΟΣ'],
  ['ΣΑΣ', 'σασ'],
  ['İstanbul', 'istanbul'],
  ['naïve CAFÉ 🚗', 'café 🚗'],
])(
  'a search finds %s by %s, whatever the case and what stands beside a letter',
  (title, search) => {
    const { task } = makeTaskChange();
    expect(matchesFilter({ search }, { ...task, title })).toBe(true);
    expect(matchesFilter({ search }, { ...task, title: '', description: title })).toBe(true);
    expect(matchesFilter({ search: `${search}x` }, { ...task, title })).toBe(false);
  },
);

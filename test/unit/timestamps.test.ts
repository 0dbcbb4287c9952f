import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { parseTimestamp } from '../../src/store/timestamps.ts';

const asNodePg: (text: string) => Date = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ);

test('a time is read as node-pg reads it, whatever its milliseconds', () => {
  const times = fc.date({
    min: new Date('1000-01-01Z'),
    max: new Date('9999-12-31Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(times, (time) => {
      const text = asPostgresWrites(time);
      expect(parseTimestamp(text)).toEqual(time);
      expect(parseTimestamp(text)).toEqual(asNodePg(text));
    }),
  );
});

test('each millisecond of a second is read as it is', () => {
  for (let ms = 0; ms < 1_000; ms += 1) {
    const time = new Date(1_800_000_000_000 + ms);
    expect(parseTimestamp(asPostgresWrites(time))).toEqual(time);
  }
});

test.each([
  '2026-01-31 12:00:00.123+02',
  '2026-01-31 12:00:00.123456+00',
  '0044-03-15 12:00:00+00 BC',
  'infinity',
])('%s is left to node-pg', (text) => {
  expect(parseTimestamp(text)).toEqual(asNodePg(text));
});

/** PostgreSQL leaves out trailing zeros. */
function asPostgresWrites(time: Date): string {
  const [date, clock = ''] = time.toISOString().split('T');
  return `${date} ${clock.replace(/\.?0*Z$/, '')}+00`;
}

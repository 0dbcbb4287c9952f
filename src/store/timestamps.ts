import pg from 'pg';

/** Makes PostgreSQL write times of all time zones alike, for `parseTimestamp`. */
export const TIME_ZONE = '-c timezone=UTC';

/** How node-pg reads what PostgreSQL sends: as it always does, but for times, of which each task has six. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === pg.types.builtins.TIMESTAMPTZ && format !== 'binary') return parseTimestamp;
    return pg.types.getTypeParser(oid, format);
  },
};

const otherwise: (text: string) => Date = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ);

/** `2026-01-31 12:00:00.123+00`; what looks otherwise, such as a time before our era, is left to node-pg. */
export function parseTimestamp(text: string): Date {
  const { length } = text;
  if (length < SECONDS || length > SECONDS + '.123'.length || !text.endsWith('+00')) {
    return otherwise(text);
  }
  const ms = length === SECONDS ? 0 : Math.round(Number(text.slice(19, -3)) * 1_000);
  return new Date(
    Date.UTC(
      twoDigits(text, 0) * 100 + twoDigits(text, 2),
      twoDigits(text, 5) - 1,
      twoDigits(text, 8),
      twoDigits(text, 11),
      twoDigits(text, 14),
      twoDigits(text, 17),
      ms,
    ),
  );
}

const SECONDS = '2026-01-31 12:00:00+00'.length;
const ZERO = '0'.charCodeAt(0);

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO;
}

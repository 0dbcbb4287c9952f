/** Those seen last. What one transaction wrote has one time, and what it tells of others' times are mostly the same. */
const texts = new Map<number, string>();
const MAX_TEXTS = 1_000;

/** A time as RFC 3339 has it, UTC, to the millisecond; kept for when it is asked for again, as most are. */
export function timeText(time: Date): string {
  const ms = time.getTime();
  const known = texts.get(ms);
  if (known !== undefined) return known;
  if (texts.size >= MAX_TEXTS) texts.clear();
  const text = time.toISOString();
  texts.set(ms, text);
  return text;
}

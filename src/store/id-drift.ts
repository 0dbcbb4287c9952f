import type { Sql, Statement } from './sql.ts';

/** How far the time in an id and the time when its row was stored may be apart without anybody being told. */
const COMMON_MS = 10_000;

/**
 * Notes how far ids are from the times at which their rows were stored, if that is further than was ever seen. Call it in
 * the transaction that stores them: `createdAfter` and `createdBefore` look for rows by their ids, no further than this.
 */
export async function noteIdDrift(
  sql: Sql,
  rows: readonly { id: string; createdAt: Date }[],
): Promise<void> {
  let [leadMs, lagMs] = [0, 0];
  for (const { id, createdAt } of rows) {
    const drift = idTimeMs(id) - createdAt.getTime();
    leadMs = Math.max(leadMs, drift);
    lagMs = Math.max(lagMs, -drift);
  }
  if (leadMs > COMMON_MS || lagMs > COMMON_MS) await sql.run(NOTE, [leadMs, lagMs]);
}

/** The milliseconds of the Unix epoch that a UUID of version 7 begins with. */
function idTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The id after which everything is that was created later than the parameter. */
export function firstIdAfter(parameter: string): string {
  return `first_id_at(${parameter}::timestamptz - (select lag_ms from id_drift) * interval '1 ms')`;
}

/** The id before which everything is that was created earlier than the parameter. */
export function lastIdBefore(parameter: string): string {
  return `first_id_at(${parameter}::timestamptz + (select lead_ms + 1 from id_drift) * interval '1 ms')`;
}

const NOTE: Statement = {
  name: 'note_id_drift',
  text: `
update id_drift
set lead_ms = greatest(lead_ms, $1::bigint), lag_ms = greatest(lag_ms, $2::bigint)
where lead_ms < $1 or lag_ms < $2`,
};

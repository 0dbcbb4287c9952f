import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const BYTES_AN_ID = 16;
/** The kernel is asked for so many at a time: to ask it for each costs as much as all else about an id. */
const IDS_AT_A_TIME = 256;

/** @returns makes UUIDs of version 7, each greater than the one before, so that a batch keeps its order */
export function createRisingIds(): () => string {
  const pool = new Uint8Array(BYTES_AN_ID * IDS_AT_A_TIME);
  let used = pool.length;
  let msecs = Number.NEGATIVE_INFINITY;
  let seq = 0;

  function takeRandom(): Uint8Array {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    used += BYTES_AN_ID;
    return pool.subarray(used - BYTES_AN_ID, used);
  }

  return () => {
    const random = takeRandom();
    const now = Date.now();
    if (now > msecs) {
      msecs = now;
      seq = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1;
    } else seq += 1;
    return v7({ random, msecs, seq });
  };
}

/** WebSocket frames (RFC 6455), as far as a measurement needs them: none is fragmented. */
export const OPCODES = { text: 1, close: 8, ping: 9, pong: 10 } as const;

/** @param options.isMasked as a client has to send it; with zeros, which leave the payload as it is */
export function encodeFrame(
  opcode: number,
  payload: Buffer,
  { isMasked }: { isMasked: boolean },
): Buffer {
  const { length } = payload;
  const isLong = length > MAX_SHORT;
  if (length > MAX_MEDIUM) throw new Error('Too long for a frame of a measurement.');
  const head = Buffer.alloc((isLong ? 4 : 2) + (isMasked ? 4 : 0));
  head[0] = FINAL | opcode;
  head[1] = (isMasked ? MASKED : 0) | (isLong ? MEDIUM : length);
  if (isLong) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}

const FINAL = 0x80;
const MASKED = 0x80;
const MAX_SHORT = 125;
const MAX_MEDIUM = 0xffff;
const MEDIUM = 126;

/**
 * Finds the frames of a server in what comes from its socket, without copying or decoding them.
 * @param onFrame gets the bytes that hold the payload, and from where to where it goes
 */
export function createFrameReader(
  onFrame: (opcode: number, bytes: Buffer, start: number, end: number) => void,
): (chunk: Buffer) => void {
  let rest: Buffer | undefined;

  return (chunk) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    rest = undefined;
    let at = 0;
    while (at < bytes.length) {
      const start = at + headLength(bytes, at);
      const end = start + payloadLength(bytes, at, start);
      // Not a number where the head itself is cut off.
      if (!(end <= bytes.length)) break;
      onFrame((bytes[at] ?? 0) & 0x0f, bytes, start, end);
      at = end;
    }
    if (at < bytes.length) rest = bytes.subarray(at);
  };
}

function headLength(bytes: Buffer, at: number): number {
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  if (short < MEDIUM) return 2;
  return short === MEDIUM ? 4 : 10;
}

function payloadLength(bytes: Buffer, at: number, start: number): number {
  if (start > bytes.length || at + 2 > bytes.length) return Number.NaN;
  if (start === at + 2) return (bytes[at + 1] ?? 0) & 0x7f;
  return start === at + 4 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
}

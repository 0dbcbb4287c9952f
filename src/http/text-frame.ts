/** The longest payload whose length fits into the first, and into the second size of header. */
const SHORT = 125;
const MEDIUM = 65_535;

/** One unmasked text frame (RFC 6455, section 5.2), as a server sends it. @param parts UTF-8, which together are the text */
export function textFrame(...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const headerLength = length <= SHORT ? 2 : length <= MEDIUM ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerLength + length);
  frame[0] = FINAL_TEXT;
  if (headerLength === 2) {
    frame[1] = length;
  } else if (headerLength === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  let end = headerLength;
  for (const part of parts) {
    frame.set(part, end);
    end += part.length;
  }
  return frame;
}

const FINAL_TEXT = 0x81;

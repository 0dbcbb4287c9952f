/** A message on its way to an exchange. Its body is JSON, and is not kept on disk. */
export interface JsonMessage {
  routingKey: string;
  body: string;
}

/**
 * Turns messages into what says "publish these" in AMQP 0-9-1, one after the other in one piece: per message a frame
 * with the method, one with the properties, and as many with the body as `frameMax` (in bytes, as negotiated) asks for.
 * amqplib does the same for one message at a time, for ten times the price: most of it is the same for all of them.
 * The frames must reach the socket in this order, without others of the same channel in between.
 */
export function createPublishEncoder({
  channel,
  exchange,
  frameMax,
}: {
  channel: number;
  exchange: string;
  frameMax: number;
}): (messages: readonly JsonMessage[]) => Buffer {
  const methodStart = Buffer.concat([
    frameStart(METHOD_FRAME, channel),
    // basic.publish, and a field that is reserved.
    Buffer.from([0, BASIC, 0, 40, 0, 0]),
    shortString(exchange),
  ]);
  const properties = Buffer.concat([
    frameStart(HEADER_FRAME, channel),
    Buffer.from([0, BASIC, 0, 0]),
    // The body's size goes here.
    Buffer.alloc(8),
    Buffer.from([(CONTENT_TYPE | DELIVERY_MODE) >> 8, 0]),
    shortString('application/json'),
    Buffer.from([TRANSIENT, FRAME_END]),
  ]);
  properties.writeUInt32BE(properties.length - FRAME_OVERHEAD, SIZE_AT);
  const bodyStart = frameStart(BODY_FRAME, channel);
  const maxPart = frameMax - FRAME_OVERHEAD;
  // The routing key's length, and a byte of flags, none of which is set.
  const fixedBytes = methodStart.length + 1 + 1 + 1 + properties.length;

  function encode(messages: readonly JsonMessage[]): Buffer {
    const sized = messages.map(({ routingKey, body }) => ({
      routingKey,
      body,
      keySize: Buffer.byteLength(routingKey),
      bodySize: Buffer.byteLength(body),
    }));
    const out = Buffer.allocUnsafe(sized.reduce((sum, message) => sum + bytesOf(message), 0));
    let end = 0;
    for (const message of sized) {
      end = writeMethod(out, end, message);
      end = writeProperties(out, end, message.bodySize);
      end = writeBody(out, end, message);
    }
    return out;
  }

  function bytesOf({ keySize, bodySize }: Sized): number {
    return fixedBytes + keySize + bodySize + Math.ceil(bodySize / maxPart) * FRAME_OVERHEAD;
  }

  function writeMethod(out: Buffer, start: number, { routingKey, keySize }: Sized): number {
    assertShort(keySize);
    methodStart.copy(out, start);
    let end = start + methodStart.length;
    out[end++] = keySize;
    end += out.write(routingKey, end);
    out[end++] = 0;
    out[end++] = FRAME_END;
    out.writeUInt32BE(end - start - FRAME_OVERHEAD, start + SIZE_AT);
    return end;
  }

  function writeProperties(out: Buffer, start: number, bodySize: number): number {
    properties.copy(out, start);
    // Of its eight bytes four are enough.
    out.writeUInt32BE(bodySize, start + BODY_SIZE_AT + 4);
    return start + properties.length;
  }

  function writeBody(out: Buffer, start: number, { body, bodySize }: Sized): number {
    if (bodySize > maxPart) return writeParts(out, start, Buffer.from(body));
    if (bodySize === 0) return start;
    const content = writeBodyStart(out, start, bodySize);
    const end = content + out.write(body, content);
    out[end] = FRAME_END;
    return end + 1;
  }

  function writeParts(out: Buffer, start: number, content: Buffer): number {
    let end = start;
    for (let from = 0; from < content.length; from += maxPart) {
      const part = content.subarray(from, from + maxPart);
      end = writeBodyStart(out, end, part.length);
      end += part.copy(out, end);
      out[end++] = FRAME_END;
    }
    return end;
  }

  function writeBodyStart(out: Buffer, start: number, size: number): number {
    bodyStart.copy(out, start);
    out.writeUInt32BE(size, start + SIZE_AT);
    return start + bodyStart.length;
  }

  return encode;
}

interface Sized extends JsonMessage {
  /** Both in bytes. */
  keySize: number;
  bodySize: number;
}

/** Kind, channel and size (set later) of a frame. */
function frameStart(kind: number, channel: number): Buffer {
  const start = Buffer.alloc(7);
  start[0] = kind;
  start.writeUInt16BE(channel, 1);
  return start;
}

function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  assertShort(bytes.length);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function assertShort(size: number): void {
  if (size > 255) throw new RangeError(`A name in AMQP has 255 bytes at most, not ${size}`);
}

const METHOD_FRAME = 1;
const HEADER_FRAME = 2;
const BODY_FRAME = 3;
const FRAME_END = 0xce;
/** A frame's kind, channel, size and end. */
const FRAME_OVERHEAD = 8;
const SIZE_AT = 3;
/** In the frame of properties: behind its start, the class and a field that is reserved. */
const BODY_SIZE_AT = 11;
/** The class of methods that have to do with messages. */
const BASIC = 60;
/** Properties that are set, as flags. */
const CONTENT_TYPE = 0x8000;
const DELIVERY_MODE = 0x1000;
const TRANSIENT = 1;

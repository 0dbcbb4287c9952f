import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Reader, Reading } from '../tasks/stream.ts';

/** Server-sent events, for as long as client and stream want it. */
export interface EventStreams {
  /**
   * Answers with a stream of events.
   * @param options.first what is sent at once: a comment when left out
   * @param options.frame a value as it is sent; called once per stream and value, so keep what is worth it
   * @param options.last what is sent before a regular end; undefined to cut the stream instead, so that the client resumes
   */
  send<T>(
    reply: FastifyReply,
    options: {
      read: (reader: Reader<T>) => Reading;
      first?: string;
      frame: (value: T) => Buffer | string;
      last: (error?: Error) => string | undefined;
    },
  ): FastifyReply;
}

/** A line that says nothing, so that no proxy takes the connection for dead, and a dead one shows. */
const HEARTBEAT = ':\n\n';
const HEARTBEAT_INTERVAL_MS = 15_000;
/** A client of whom the system has taken nothing for this long, with more to read, is gone. */
const STALLED_AFTER_BEATS = 4;

/**
 * The event streams of an app. When it closes they are cut and not ended: a client must see that it has to resume, here
 * or at another process.
 */
export function createEventStreams(app: FastifyInstance): EventStreams {
  let closing = false;
  const open = new Map<Readable, { reply: FastifyReply; stalled: number; sent: number }>();
  const heartbeat = setInterval(beat, HEARTBEAT_INTERVAL_MS);
  app.addHook('preClose', async () => {
    closing = true;
    clearInterval(heartbeat);
    for (const { reply } of open.values()) reply.raw.destroy();
  });

  function beat() {
    for (const [events, state] of open) {
      const sent = sentTo(state.reply);
      const isStalled = events.readableLength > 0 && sent === state.sent;
      state.stalled = isStalled ? state.stalled + 1 : 0;
      state.sent = sent;
      if (state.stalled >= STALLED_AFTER_BEATS) state.reply.raw.destroy();
      else if (events.readableLength === 0) events.push(HEARTBEAT);
    }
  }

  return {
    send(reply, { read, first = HEARTBEAT, frame, last }) {
      if (reply.raw.destroyed) {
        // The client has left meanwhile. Fastify would take that for a failure of ours.
        read({ take: () => false, end: () => {} }).leave();
        return reply.hijack();
      }
      const events = new Readable({
        read: () => reading.resume(),
        destroy(error, done) {
          open.delete(events);
          reading.leave();
          done(error);
        },
      });
      const reading = read({
        take: (value) => events.push(frame(value)),
        end(error) {
          open.delete(events);
          const said = last(error);
          if (said === undefined) return void reply.raw.destroy();
          events.push(said);
          events.push(null);
        },
      });
      open.set(events, { reply, stalled: 0, sent: 0 });
      if (closing) reply.raw.destroy();
      // Some browsers wait for the first byte before they take the stream for open.
      events.push(first);
      return reply.headers(HEADERS).send(events);
    },
  };
}

/** How many bytes the system has taken for a client. */
function sentTo({ raw: { socket } }: FastifyReply): number {
  return socket === null ? 0 : socket.bytesWritten - socket.writableLength;
}

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Or nginx would gather the events before it passes them on.
  'x-accel-buffering': 'no',
};

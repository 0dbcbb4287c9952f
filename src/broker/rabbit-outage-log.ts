import type { Logger } from 'pino';
import { TopologyRefused } from './rabbit-topology.ts';

export interface OutageLog {
  /** A part failed. Told once for each distinct reason until that part works again; at debug level beyond that. */
  failed(part: string, error: Error): void;
  /** A part works. Told when it was the last one that did not. */
  works(part: string): void;
}

/** Tells whoever is on call that something broke and that it is whole again, and not each attempt in between. */
export function createOutageLog(log: Logger): OutageLog {
  const broken = new Map<string, Set<string>>();
  return {
    failed(part, error) {
      const reason = describe(error);
      // Two connections that fail for one reason are one outage.
      const told = [...broken.values()].some((reasons) => reasons.has(reason));
      broken.set(part, (broken.get(part) ?? new Set()).add(reason));
      const text = `RabbitMQ: ${part} failed: ${reason}`;
      if (told) {
        log.debug({ err: error }, text);
      } else if (error instanceof TopologyRefused) {
        log.error({ err: error }, text);
      } else {
        log.warn({ err: error }, `${text}; trying again until it works`);
      }
    },
    works(part) {
      if (broken.delete(part) && broken.size === 0) log.info('RabbitMQ: all works again');
    },
  };
}

/** Connecting to a name with several addresses fails with an AggregateError, whose message is empty. */
function describe(error: Error): string {
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}

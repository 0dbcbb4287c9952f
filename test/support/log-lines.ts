import type { Logger } from 'pino';
import { pino } from 'pino';
import type { Inbox } from './inbox.ts';
import { createInbox } from './inbox.ts';

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  msg: string;
}

/** A logger whose lines a test can wait for. */
export function createLogLines(): { log: Logger; lines: Inbox<LogLine> } {
  const lines = createInbox<LogLine>();
  const options = {
    level: 'debug',
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log = pino(options, { write: (line: string) => lines.put(JSON.parse(line) as LogLine) });
  return { log, lines };
}

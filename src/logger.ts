import { type Logger, pino } from 'pino';

/** JSON lines on standard output, one per event; for the eyes of a person at a terminal, coloured text. */
export function createLogger(options: { level: string; pretty: boolean }): Logger {
  return pino({
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    ...(options.pretty ? { transport: { target: 'pino-pretty', options: PRETTY } } : {}),
  });
}

const PRETTY = { translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' };

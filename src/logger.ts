import { type Logger, pino } from 'pino';

/** JSON lines on standard output, one per event; for the eyes of a person at a terminal, coloured text. */
export function createLogger(options: { level: string; pretty: boolean }): Logger {
  return pino({
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: toErrorLog },
    ...(options.pretty ? { transport: { target: 'pino-pretty', options: PRETTY } } : {}),
  });
}

const PRETTY = { translateTime: 'SYS:HH:MM:ss' };

/** What of an error is worth a line. Drivers hang whole connections on theirs, secrets included; those stay out. */
function toErrorLog(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: toErrorLog(error.cause) }),
  };
}

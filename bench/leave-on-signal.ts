import { setTimeout as pause } from 'node:timers/promises';

/**
 * Ctrl-C: whatever is being measured, what it has opened goes. A second one does not wait for that.
 * @returns what fires then
 */
export function leaveOnSignal(options: {
  open: ReadonlySet<() => Promise<void>>;
  tell: (line: string) => void;
}): AbortSignal {
  const { open, tell } = options;
  const leaving = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, async () => {
      leaving.abort();
      // What is being measured falls over its missing parts: no reason to leave the rest behind.
      process.on('uncaughtException', () => {});
      tell(`${name}: cleans up.`);
      for (const close of open) await close();
      // What was just being opened at that moment.
      await pause(OPENED_WITHIN_MS);
      for (const close of open) await close();
      process.exit(130);
    });
  }
  return leaving.signal;
}

const OPENED_WITHIN_MS = 1_000;

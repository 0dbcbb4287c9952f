import type { Bench } from './bench.ts';

/** Ctrl-C: whatever is being measured, what it has opened goes. A second one does not wait for that. */
export function leaveOnSignal({ open, tell }: Pick<Bench, 'open' | 'tell'>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      tell(`${signal}: cleans up.`);
      for (const releases of open) await releases.run();
      process.exit(130);
    });
  }
}

/**
 * A worker whose tasks run until they are told to stop. It says when each starts and when its signal fires, by this
 * machine's clock, in milliseconds since 1970.
 */
import { once } from 'node:events';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import { stopOnSignal } from '../../src/shutdown.ts';
import type { TaskHandler } from '../../src/worker/handler.ts';

const simulate: TaskHandler = {
  description: 'Runs until its signal fires.',
  async run({ task, signal }) {
    say('probe started', task.id);
    await once(signal, 'abort');
    say('probe aborted', task.id);
  },
};

const log = createLogger({ level: 'info', pretty: false });
const { signal } = new AbortController();
const app = await startApp({ config: readConfig(), handlers: { simulate }, log, signal });
stopOnSignal(() => app.stop({ notice: false }), log);

function say(msg: string, taskId: string): void {
  process.stdout.write(`${JSON.stringify({ msg, taskId, at: Date.now() })}\n`);
}

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onTestFailed, onTestFinished } from 'vitest';
import { createTold, type Told } from './told.ts';

/** A client in a process of its own. Killed when the test ends. */
export interface ClientProcess extends Told {
  kill(signal: NodeJS.Signals): void;
}

/** Runs a script of `readme-clients.ts`. It finds the packages of this checkout, and an EventSource, which Node has not. */
export function startClient(script: string): ClientProcess {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PRELUDE + script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { tell, ...told } = createTold();
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [to, what] = JSON.parse(line);
    tell(to, what as never);
  });
  child.stderr.on('data', (text) => complaints.push(String(text)));
  onTestFailed(() => {
    const { changes, refusals, ends } = told;
    const all = { changes: changes.all.length, refusals: refusals.all, ends: ends.all };
    process.stderr.write(
      `\nA client was told ${JSON.stringify(all)}, and said:\n${complaints.join('')}\n`,
    );
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { ...told, kill: (signal) => void child.kill(signal) };
}

const PRELUDE = `
import { EventSource as NodeEventSource } from 'eventsource';
const tell = (to, what) => process.stdout.write(JSON.stringify([to, what]) + '\\n');
globalThis.EventSource = class extends NodeEventSource {
  constructor(url) {
    super(url);
    this.addEventListener('error', ({ code }) => code && tell('refusals', String(code)));
  }
};
`;

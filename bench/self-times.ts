import { readFile } from 'node:fs/promises';

/** How long each function itself ran, without those that it called. */
export interface SelfTimes {
  busyMs: number;
  idleMs: number;
  /** The longest first. */
  functions: { name: string; where: string; selfMs: number }[];
}

/** @param path of a `.cpuprofile`, as V8 writes it */
export async function readSelfTimes(path: string): Promise<SelfTimes> {
  const { nodes, samples, timeDeltas }: Profile = JSON.parse(await readFile(path, 'utf8'));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, SelfTimes['functions'][number]>();
  let busyMs = 0;
  let idleMs = 0;
  for (const [i, id] of samples.entries()) {
    const frame = frames.get(id);
    // What lies between this sample and the next is this one's.
    const ms = Math.max(0, timeDeltas[i + 1] ?? 0) / 1_000;
    if (frame === undefined) continue;
    if (frame.functionName === '(idle)') {
      idleMs += ms;
      continue;
    }
    busyMs += ms;
    const name = frame.functionName || '(anonymous)';
    const where = frame.url === '' ? '' : `${frame.url}:${frame.lineNumber + 1}`;
    const known = functions.get(`${name} ${where}`);
    if (known === undefined) functions.set(`${name} ${where}`, { name, where, selfMs: ms });
    else known.selfMs += ms;
  }
  return {
    busyMs,
    idleMs,
    functions: [...functions.values()].sort((a, b) => b.selfMs - a.selfMs),
  };
}

interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  /** Ids of nodes. */
  samples: number[];
  /** Microseconds since the sample before. */
  timeDeltas: number[];
}

/**
 * `make bench-streams`: what the live stream of this service takes, and how it compares with its parts on this machine.
 *
 *     node bench/streams.ts [fan-out | filter-fan-out | latency | stalled] [--json FILE] [--profile FOLDER]
 *
 * Uses the servers of DATABASE_URL and RABBITMQ_URL, in a database and a namespace of its own that are dropped at the
 * end. Compare the figures with each other, not between machines.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { createReleases } from '../src/shutdown.ts';
import { measureFanOut } from './streams/fan-out.ts';
import { type Findings, formatTable } from './streams/figures.ts';
import { measureFilterFanOut } from './streams/filter-fan-out.ts';
import { measureLatency } from './streams/latency.ts';
import type { Stage } from './streams/service.ts';
import { measureStalled } from './streams/stalled.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    profile: { type: 'string' },
    subscribers: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    events: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    changes: { type: 'string', default: '100000' },
    'per-socket': { type: 'string', default: '10,1' },
  },
});

const SCENARIOS: Readonly<Record<string, (stage: Stage) => Promise<Findings>>> = {
  'fan-out': (stage) =>
    measureFanOut(stage, {
      subscribers: Number(values.subscribers ?? 1_000),
      events: Number(values.events),
      rounds: Number(values.rounds),
    }),
  'filter-fan-out': (stage) =>
    measureFilterFanOut(stage, {
      subscribers: Number(values.subscribers ?? 1_000),
      changes: 50,
      rounds: Number(values.rounds),
    }),
  latency: (stage) =>
    measureLatency(stage, {
      subscribers: Number(values.subscribers ?? 5_000),
      perSocket: values['per-socket'].split(',').map(Number),
      seconds: Number(values.seconds),
    }),
  stalled: (stage) => measureStalled(stage, { changes: Number(values.changes) }),
};

const log = pino({ level: 'warn' });
const figures: Record<string, object> = {};
for (const name of positionals.length === 0 ? Object.keys(SCENARIOS) : positionals) {
  const measure = SCENARIOS[name];
  if (measure === undefined) throw new Error(`Scenarios: ${Object.keys(SCENARIOS).join(', ')}.`);
  const releases = createReleases(log);
  try {
    const findings = await measure({ releases, log, profileFolder: values.profile });
    figures[name] = findings.figures;
    process.stdout.write(`\n${name}\n${formatTable(findings.rows)}\n`);
  } finally {
    await releases.run();
  }
}
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}

/**
 * `make bench`: this service beside its rivals, on what this machine has.
 *
 *     node bench/run.ts [--only SCENARIO]... [--rounds 5] [--tasks N]
 *     node bench/run.ts --only long-run [--minutes 60]
 *
 * Every contender gets a database, a namespace and a prefix of its own in the servers of DATABASE_URL, RABBITMQ_URL and
 * REDIS_URL, which are gone at the end. Compare the figures of one run with each other, not between machines.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pino from 'pino';
import type { Bench } from './bench.ts';
import { leaveOnSignal } from './leave-on-signal.ts';
import { describeMachine } from './machine.ts';
import type { Report, ScenarioReport } from './report.ts';
import { measureBulkCreate } from './scenarios/bulk-create.ts';
import { measureCreateUnderLoad } from './scenarios/create-under-load.ts';
import { measureDrain } from './scenarios/drain.ts';
import { measureFanOut } from './scenarios/fan-out.ts';
import { measureGrowth } from './scenarios/growth.ts';
import { measureIdleLatency } from './scenarios/idle-latency.ts';
import { measureList } from './scenarios/list.ts';
import { measureLongRun } from './scenarios/long-run.ts';
import { measureMemory } from './scenarios/memory.ts';
import { measureManyClients, measureWholeService } from './scenarios/whole-service.ts';
import { findServers } from './servers.ts';
import { type Findings, formatTable } from './streams/figures.ts';
import { summarize } from './summary.ts';

const SCENARIOS: Readonly<Record<string, (bench: Bench) => Promise<Findings>>> = {
  'whole-service': measureWholeService,
  'many-clients': measureManyClients,
  drain: measureDrain,
  'bulk-create': measureBulkCreate,
  'idle-latency': measureIdleLatency,
  'create-under-load': measureCreateUnderLoad,
  memory: measureMemory,
  list: measureList,
  'fan-out': measureFanOut,
  growth: measureGrowth,
  'long-run': measureLongRun,
};
/** They take up to an hour: only where they are asked for. */
const ON_DEMAND = ['growth', 'long-run'];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '5' },
    tasks: { type: 'string' },
    minutes: { type: 'string' },
    json: { type: 'string', default: join(import.meta.dirname, 'results/latest.json') },
  },
});
const wanted = values.only ?? Object.keys(SCENARIOS).filter((name) => !ON_DEMAND.includes(name));
for (const name of wanted) {
  if (!Object.hasOwn(SCENARIOS, name)) fail(`Scenarios: ${Object.keys(SCENARIOS).join(', ')}.`);
}
const tell = (line: string) => void process.stderr.write(`${line}\n`);
const servers = await findServers(tell);
const open: Bench['open'] = new Set();
const bench: Bench = {
  servers,
  rounds: Number(values.rounds),
  tasks: values.tasks === undefined ? undefined : Number(values.tasks),
  minutes: values.minutes === undefined ? undefined : Number(values.minutes),
  log: pino({ level: 'warn' }, pino.destination(2)),
  open,
  signal: leaveOnSignal({ open, tell }),
  tell,
};

const machine = describeMachine(servers);
process.stdout.write(`${formatTable(Object.entries(machine))}\n`);
await mkdir(join(values.json, '..'), { recursive: true });
const scenarios: Record<string, ScenarioReport> = {};
for (const name of wanted) {
  tell(`${name} …`);
  const findings = await measure(name);
  if (findings === undefined) continue;
  scenarios[name] = findings.figures;
  process.stdout.write(`\n${name}\n${formatTable(findings.rows)}\n`);
  // After each, so that what a long run has found is not lost with its end.
  const at = new Date().toISOString();
  const report: Report = { at, machine, rounds: bench.rounds, scenarios };
  await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
}
process.stdout.write(`\nin short\n${formatTable(summarize({ scenarios }))}\n`);
tell(`Written to ${values.json}.`);

/** One that fails does not keep the others from being measured. */
async function measure(name: string): Promise<Findings | undefined> {
  try {
    return await SCENARIOS[name]?.(bench);
  } catch (error) {
    bench.log.error({ err: error }, `${name} failed`);
    process.exitCode = 1;
    return undefined;
  }
}

function fail(line: string): never {
  process.stderr.write(`${line}\n`);
  process.exit(1);
}

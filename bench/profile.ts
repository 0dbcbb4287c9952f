/**
 * `make profile`, `make profile ROLE=worker`: where one of our processes spends its time while the whole service is busy.
 *
 *     node bench/profile.ts [api|worker] [--tasks 10000]
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { type Bench, onSite } from './bench.ts';
import { thisServiceOverGraphql, thisServiceOverRest } from './contenders/this-service.ts';
import { leaveOnSignal } from './leave-on-signal.ts';
import { CONNECTIONS, serve } from './scenarios/whole-service.ts';
import { readSelfTimes } from './self-times.ts';
import { findServers } from './servers.ts';
import { formatTable, whole } from './streams/figures.ts';

const TOP = 25;
const CHECKOUT = join(import.meta.dirname, '..');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tasks: { type: 'string', default: '10000' },
    over: { type: 'string', default: 'rest' },
  },
});
const [role = 'api'] = positionals;
if (role !== 'api' && role !== 'worker') throw new Error('The role must be api or worker.');
const contender = values.over === 'graphql' ? thisServiceOverGraphql : thisServiceOverRest;
const tell = (line: string) => void process.stderr.write(`${line}\n`);
const log = pino({ level: 'warn' }, pino.destination(2));
const servers = await findServers(tell);
const open: Bench['open'] = new Set();
const signal = leaveOnSignal({ open, tell });
const bench: Bench = { servers, rounds: 1, tasks: undefined, log, open, signal, tell };

const folder = join(import.meta.dirname, 'results', `profile-${role}-${Date.now()}`);
await mkdir(folder, { recursive: true });
const argv = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
const tasks = Number(values.tasks);
const figures = await onSite(bench, 'throughput', (site) =>
  serve(contender, site, {
    tasks,
    connections: CONNECTIONS,
    ...(role === 'api' ? { apiArgv: argv } : { workerArgv: argv }),
  }),
);
// Written when the process has ended, which it has by now.
const [file] = await readdir(folder);
if (file === undefined) throw new Error('The process has left no profile.');
const path = join(folder, file);
const { busyMs, idleMs, functions } = await readSelfTimes(path);
const share = (ms: number) => `${((ms / busyMs) * 100).toFixed(1)} %`;

process.stdout.write(
  `${formatTable([
    [`${role}: function`, 'self', 'where'],
    ...functions
      .slice(0, TOP)
      .map(({ name, where, selfMs }): [string, ...string[]] => [
        name,
        share(selfMs),
        where.replace(`file://${CHECKOUT}/`, ''),
      ]),
  ])}\n\n`,
);
process.stdout.write(
  `${contender.name}: ${whole(figures.postsPerSecond ?? NaN)} POST/s, ${whole(figures.completedPerSecond ?? NaN)} completed/s, ` +
    `while it was profiled. Busy for ${whole(busyMs)} ms, idle for ${whole(idleMs)} ms, its start and the warm-up included.\n` +
    `For a flame graph open it in https://www.speedscope.app or Chrome DevTools: ${relative(process.cwd(), path)}\n`,
);

/**
 * `make soak`: a mixed load on two API and three worker processes, while something random breaks every few seconds; then
 * the account: every acknowledged task is there, final, and went only ways that the contract allows.
 *
 * Uses the servers of DATABASE_URL and RABBITMQ_URL, each in a space of its own that is left behind empty-handed. Exits
 * with 1 when a promise was broken; the logs of the processes are then kept.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { applyMigrations } from '../../src/store/migrate.ts';
import { audit, countOpen } from '../support/audit.ts';
import { startFaults } from './faults.ts';
import { startLoad } from './load.ts';
import { createMember, type Member } from './member.ts';
import { pause } from './pause.ts';
import { createRandom } from './random.ts';
import { formatReport } from './report.ts';
import { openSpace } from './space.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    'fault-every': { type: 'string', default: '5' },
    rate: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
/** How long what is open when the faults end may take. */
const SETTLED_WITHIN_MS = 120_000;
const SAY_EVERY_MS = 30_000;
const INTERRUPTED = 130;

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
process.once('SIGTERM', () => interrupted.abort());

const releases: (() => Promise<unknown>)[] = [];
say(
  `seed ${seed}: ${minutes} min, ${values.rate} tasks/s, a fault every ${values['fault-every']} s`,
);
try {
  process.exitCode = await soak();
} finally {
  for (const release of releases.reverse()) {
    await release().catch((error: unknown) => say(`could not clean up: ${String(error)}`));
  }
}
// Clients may still wait for an answer.
process.exit();

/** @returns the exit code */
async function soak(): Promise<number> {
  const space = await openSpace(`soak_${process.pid}`);
  releases.push(space.drop);
  await applyMigrations({ databaseUrl: space.databaseUrl, log: pino({ level: 'warn' }) });
  const logFolder = await mkdtemp(join(tmpdir(), 'soak-'));
  const offences: string[] = [];
  const members: Member[] = [];
  for (const name of ['api 1', 'api 2', 'worker 1', 'worker 2', 'worker 3']) {
    const isApi = name.startsWith('api');
    const member = await createMember({
      name,
      role: isApi ? 'api' : 'worker',
      ...(isApi && { port: await freePort() }),
      ...space,
      logFolder,
      onOffence: (what) => offences.push(what),
    });
    releases.push(member.close);
    member.start();
    members.push(member);
  }
  const urls = members.flatMap(({ url }) => (url === undefined ? [] : [url]));
  await Promise.all(urls.map(untilReady));
  if (interrupted.signal.aborted) return INTERRUPTED;

  // Apart from each other: how long answers take must not decide which faults there are.
  const load = startLoad({ urls, perSecond: Number(values.rate), random: createRandom(seed) });
  const faults = startFaults({
    members,
    space,
    random: createRandom(seed + 1),
    everyMs: Number(values['fault-every']) * 1_000,
    onFault: (kind) => say(`fault: ${kind}`),
  });
  const saying = setInterval(async () => {
    const open = await countOpen(space.sql).catch(() => undefined);
    say(`${load.acknowledged.size} acknowledged, ${open} open`);
  }, SAY_EVERY_MS);
  await pause(minutes * 60_000, interrupted.signal);
  clearInterval(saying);
  await faults.stop();
  if (interrupted.signal.aborted) return INTERRUPTED;
  await load.stop();
  const loadEndedAt = performance.now();
  const isOver = () => performance.now() - loadEndedAt > SETTLED_WITHIN_MS;
  while ((await countOpen(space.sql)) > 0 && !isOver()) await pause(100, interrupted.signal);
  const settledMs = performance.now() - loadEndedAt;
  // Anything that comes late, such as a second completion, is to show as well.
  await pause(2_000, interrupted.signal);
  if (interrupted.signal.aborted) return INTERRUPTED;

  const account = await audit(space.sql, load);
  const said = [...offences, ...load.offences, ...faults.failures];
  const { text, isClean } = formatReport({
    load,
    faults: faults.counts,
    account,
    settledMs,
    offences: said,
  });
  say(`\n${text}`);
  if (isClean) await rm(logFolder, { recursive: true });
  else say(`The promises were broken; logs: ${logFolder}; again: --seed ${seed}`);
  return isClean ? 0 : 1;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port.');
  return address.port;
}

async function untilReady(url: string): Promise<void> {
  while (!interrupted.signal.aborted) {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (answer?.status === 200) return;
    await pause(50);
  }
}

function say(line: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

/**
 * `make bench-chart`: draws what the last `make bench` wrote, for the README.
 *
 *     node bench/chart.ts [--json bench/results/latest.json] [--svg .github/bench.svg]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bar, drawBars, type Panel } from './bars.ts';
import type { Report } from './report.ts';

/** What is drawn, of which scenario, and of which of its figures. */
const PANELS = [
  {
    scenario: 'whole-service',
    figure: 'completedPerSecond',
    title: 'Whole service: POST → stored → run → COMPLETED, tasks per second',
    decimals: 0,
  },
  {
    scenario: 'drain',
    figure: 'tasksPerSecond',
    title: 'A backlog of no-ops and one worker process, tasks per second',
    decimals: 0,
  },
  {
    scenario: 'idle-latency',
    figure: 'startP50Ms',
    title: 'POST → handler starts, on an idle system, median in ms (less is better)',
    decimals: 1,
  },
  {
    scenario: 'fan-out',
    figure: 'perSecond',
    title: 'One task with 1,000 subscribers, messages per second',
    decimals: 0,
  },
] as const;

const { values } = parseArgs({
  options: {
    json: { type: 'string', default: join(import.meta.dirname, 'results/latest.json') },
    svg: { type: 'string', default: join(import.meta.dirname, '../.github/bench.svg') },
  },
});
const report: Report = JSON.parse(await readFile(values.json, 'utf8'));
const panels = PANELS.map(({ scenario, figure, title, decimals }): Panel => {
  const results = report.scenarios[scenario]?.results ?? [];
  const bars = results.flatMap(({ name, median }): Bar[] => {
    const value = median[figure];
    if (value === undefined) return [];
    const label = value.toLocaleString('en-US', {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    });
    return [{ name, value, label, isOwn: name.startsWith('this service') }];
  });
  return { title, bars };
}).filter(({ bars }) => bars.length > 0);
const { processor = '', PostgreSQL, RabbitMQ, Redis } = report.machine;
const servers = Object.entries({ PostgreSQL, RabbitMQ, Redis }).flatMap(([name, description]) =>
  description === undefined ? [] : [`${name} ${description.split(',')[0]}`],
);
const caption = `All on one machine (${[processor, ...servers].join(', ')}); medians of ${report.rounds}, ${report.at.slice(0, 10)}`;
await writeFile(values.svg, drawBars(panels, caption));
process.stdout.write(`Written to ${relative(process.cwd(), values.svg)}.\n`);

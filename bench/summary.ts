import type { Report, ScenarioReport } from './report.ts';
import { type Figures, ratioOf } from './rounds.ts';
import { mib, type Row } from './streams/figures.ts';

/** One table of a whole run: what this service does, beside the rival that matters, and the ratio of the two. */
export function summarize({ scenarios }: Pick<Report, 'scenarios'>): Row[] {
  const rows = COMPARISONS.flatMap((comparison) => {
    const { scenario } = comparison;
    const report = scenarios[scenario];
    return report === undefined ? [] : compare(comparison, report);
  });
  return [['', 'this service', 'other', '', 'ratio'], ...rows];
}

interface Comparison {
  what: string;
  scenario: string;
  figure: string;
  format: (value: number) => string;
  own: string;
  /** Each gives a line; none: there is nothing to compare with. */
  others: readonly string[];
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US');
const ms = (value: number) => `${value.toFixed(1)} ms`;
const OWN = 'this service';
const REST = 'this service, REST';
const GRAPHQL = 'this service, GraphQL';

const COMPARISONS: readonly Comparison[] = [
  {
    what: 'whole service over REST, completed/s',
    scenario: 'whole-service',
    figure: 'completedPerSecond',
    format: whole,
    own: REST,
    others: ['BullMQ + row', 'pg-boss', 'Graphile Worker + row', 'BullMQ alone'],
  },
  {
    what: 'whole service over GraphQL, completed/s',
    scenario: 'whole-service',
    figure: 'completedPerSecond',
    format: whole,
    own: GRAPHQL,
    others: [REST],
  },
  {
    what: 'the same from 500 connections, completed/s',
    scenario: 'many-clients',
    figure: 'completedPerSecond',
    format: whole,
    own: REST,
    others: ['BullMQ + row', 'pg-boss', 'Graphile Worker + row', 'BullMQ alone'],
  },
  {
    what: 'drain by one worker, tasks/s',
    scenario: 'drain',
    figure: 'tasksPerSecond',
    format: whole,
    own: OWN,
    others: [
      'BullMQ alone',
      'BullMQ + row',
      'pg-boss',
      'Graphile Worker alone',
      'Graphile Worker + row',
    ],
  },
  {
    what: 'create in bulk, tasks/s',
    scenario: 'bulk-create',
    figure: 'perSecond',
    format: whole,
    own: 'this service, createTasks',
    others: ['RabbitMQ, confirmed publish'],
  },
  {
    what: 'idle: POST → handler starts, p50',
    scenario: 'idle-latency',
    figure: 'startP50Ms',
    format: ms,
    own: OWN,
    others: ['BullMQ alone', 'BullMQ + row', 'pg-boss', 'Graphile Worker + row'],
  },
  {
    what: 'idle: POST → COMPLETED is seen, p50',
    scenario: 'idle-latency',
    figure: 'seenP50Ms',
    format: ms,
    own: OWN,
    others: ['BullMQ + row', 'BullMQ alone'],
  },
  {
    what: 'POST at half of the maximum, p99',
    scenario: 'create-under-load',
    figure: 'p99Ms',
    format: ms,
    own: REST,
    others: [`${REST}, with descriptions`],
  },
  {
    what: 'fan-out to 1,000, messages/s',
    scenario: 'fan-out',
    figure: 'perSecond',
    format: whole,
    own: OWN,
    others: ['ws, send() each', 'stock Yoga and graphql-ws'],
  },
  {
    what: 'heap for each idle subscriber',
    scenario: 'memory',
    figure: 'heapBytesEach',
    format: (value) => `${(value / 1_024).toFixed(1)} KiB`,
    own: OWN,
    others: ['stock Yoga and graphql-ws'],
  },
  {
    what: 'RSS of the idle api',
    scenario: 'memory',
    figure: 'idleBytes',
    format: mib,
    own: OWN,
    others: [],
  },
  {
    what: 'RSS of the idle worker',
    scenario: 'memory',
    figure: 'workerBytes',
    format: mib,
    own: OWN,
    others: [],
  },
];

function compare(comparison: Comparison, { results = [] }: ScenarioReport): Row[] {
  const { what, figure, format, own: ownName, others } = comparison;
  const own = results.find(({ name }) => name === ownName);
  if (own === undefined) return [];
  const value = format(read(own.median, figure));
  if (others.length === 0) return [[what, value, '', '', '']];
  return others.flatMap((otherName): Row[] => {
    const other = results.find(({ name }) => name === otherName);
    if (other === undefined) return [];
    const ratio = ratioOf(own, other, figure).toFixed(2);
    return [[what, value, format(read(other.median, figure)), otherName, ratio]];
  });
}

function read(figures: Figures, name: string): number {
  return figures[name] ?? Number.NaN;
}

import type { Bench } from './bench.ts';
import { median } from './streams/figures.ts';

/** Numbers by name. */
export type Figures = Readonly<Record<string, number>>;

export interface Entry {
  name: string;
  measure(): Promise<Figures>;
}

/** What one entry came to. */
export interface Result {
  name: string;
  /** The median of each figure. */
  median: Figures;
  rounds: readonly Figures[];
}

/** Measures them in turns, round by round, so that what else the machine does weighs on all of them. */
export async function holdRounds(bench: Bench, entries: readonly Entry[]): Promise<Result[]> {
  const rounds = entries.map(() => [] as Figures[]);
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const [i, { name, measure }] of entries.entries()) {
      const figures = await measure();
      rounds[i]?.push(figures);
      bench.tell(`  ${round}/${bench.rounds} ${name}: ${brief(figures)}`);
    }
  }
  return entries.map(({ name }, i) => ({
    name,
    median: medians(rounds[i] ?? []),
    rounds: rounds[i] ?? [],
  }));
}

/** The first, which is this service, to each of the others by one figure; nothing where it was left out. */
export function ratios(results: readonly Result[], figure: string): Record<string, number> {
  const [own, ...others] = results;
  if (!own?.name.startsWith(OWN)) return {};
  return Object.fromEntries(others.map((other) => [other.name, ratioOf(own, other, figure)]));
}

const OWN = 'this service';

/** The median of what each round gives, since both had the same machine in that round. */
export function ratioOf(own: Result, other: Result, figure: string): number {
  return median(
    other.rounds.map((round, i) => (own.rounds[i]?.[figure] ?? NaN) / (round[figure] ?? NaN)),
  );
}

function medians(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((round) => round[name] ?? NaN))]),
  );
}

function brief(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value < 100 ? value.toFixed(2) : Math.round(value)}`)
    .join(', ');
}

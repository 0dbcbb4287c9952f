import { type Bench, onSite, present } from '../bench.ts';
import { thisServiceOverRest } from '../contenders/this-service.ts';
import { measureFanOut as contest } from '../streams/fan-out.ts';
import type { Findings } from '../streams/figures.ts';

/** One task that 1,000 watch: `make bench-streams` has more of this kind. */
export async function measureFanOut(bench: Bench): Promise<Findings> {
  const [own] = present(bench, [thisServiceOverRest]);
  if (own === undefined) return { rows: [], figures: {} };
  return onSite(bench, 'throughput', ({ releases }) =>
    contest(
      { releases, log: bench.log, profileFolder: undefined },
      { subscribers: 1_000, events: 200, rounds: bench.rounds },
    ),
  );
}

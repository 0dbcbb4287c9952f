import type { Deployment } from '../contender.ts';
import type { Child } from '../streams/child.ts';
import { untilCompleted } from '../until-completed.ts';
import type { LoadCommands, Target } from './load.ts';

const COUNT = 5_000;
const CONNECTIONS = 50;

/** What POST takes at most, found by the second of two runs, of which the first warms up. All are COMPLETED in the end. */
export async function measureFlatOut(
  load: Child<LoadCommands>,
  deployment: Deployment,
  target: Target,
): Promise<{ perSecond: number; tasks: number }> {
  const flatOut = { target, count: COUNT, connections: CONNECTIONS };
  await load.ask('postAll', flatOut);
  await untilCompleted(deployment, COUNT);
  const { startedAt, endedAt } = await load.ask('postAll', flatOut);
  await untilCompleted(deployment, 2 * COUNT);
  return { perSecond: (COUNT / (endedAt - startedAt)) * 1_000, tasks: 2 * COUNT };
}

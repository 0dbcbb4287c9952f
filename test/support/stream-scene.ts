import { randomInt } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { cursorOf } from '../../src/tasks/cursor.ts';
import type { Followed } from './follow-stream.ts';
import { report } from './measure.ts';
import type { Stage } from './stage.ts';
import { openThirdParty, type ThirdParty } from './third-party.ts';
import type { Seen } from './watchers.ts';

export async function createIds(party: ThirdParty, count: number): Promise<string[]> {
  return (await party.createTasks(count)).map(({ task }) => task.id);
}

/** Who changes things, and a task whose two changes enclose all that a test does: `start` stands at the first of them. */
export async function begin(stage: Stage) {
  const party = await openThirdParty(stage);
  const [change] = await party.createTasks(1);
  if (change === undefined) throw new Error('not created');
  const last = change.task.id;
  const isLast = ({ taskId, version }: Seen) => taskId === last && version === 2;
  return { party, start: cursorOf(change), last, isLast };
}

export function abortedAtTheEnd(): AbortController {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  return ending;
}

/** Set SEED to repeat the choices of a run. */
export function chooseSeed(): number {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
  report(`seed ${seed}`);
  return seed;
}

/** By turns. */
export function pick<T>(values: readonly T[], turn: number): T {
  const value = values[Math.floor(turn) % values.length];
  if (value === undefined) throw new Error('There is nothing to pick from.');
  return value;
}

export function inSum(followed: readonly Followed[]): string {
  const sum = (count: (one: Followed) => number) =>
    followed.reduce((total, one) => total + count(one), 0);
  return (
    `${followed.length} subscribers saw ${sum(({ seen }) => seen.length)}; cut ` +
    `${sum(({ interruptions }) => interruptions.CUT)} times, too slow ` +
    `${sum(({ interruptions }) => interruptions.LAGGED)} times, turned away ` +
    `${sum(({ interruptions }) => interruptions.UNAVAILABLE)} times; nothing missing, doubled or out of order`
  );
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

import type { AsyncCommand } from 'fast-check';
import type { Model } from './book.ts';
import type { World } from './world.ts';

/** A command as fast-check runs it. */
export type Step = AsyncCommand<Model, World>;

/** The contract is broken. */
export class Breach extends Error {
  override readonly name = 'Breach';
}

/** @param act does it, checks what came of it, and says that in a few words. Throws what fails the run */
export function step(
  words: string,
  act: (model: Model, world: World) => Promise<string>,
  check: (model: Readonly<Model>) => boolean = () => true,
): Step {
  return {
    check,
    async run(model, world) {
      const began = world.seconds();
      const say = (came: string) => {
        model.trace.push(`${began} to ${world.seconds()}: ${words}: ${came}`);
      };
      await act(model, world).then(say, (error: unknown) => {
        say(String(error));
        throw error;
      });
      const [offence] = world.offences;
      if (offence !== undefined) throw new Breach(offence);
    },
    toString: () => words,
  };
}

/** A step about a task that a client of this run knows. `pick` counts back from the latest. */
export function stepOn(
  pick: number,
  words: string,
  act: (entry: ReturnType<Model['known']>[number], model: Model, world: World) => Promise<string>,
): Step {
  return step(
    `${words} -${pick}`,
    async (model, world) => {
      const known = model.known();
      const entry = known.at(-1 - (pick % known.length));
      if (entry === undefined) return 'there is none';
      return `${entry.order.title}: ${await act(entry, model, world)}`;
    },
    (model) => model.known().length > 0,
  );
}

/** Does all at the same time. */
export function together(steps: readonly Step[]): Step {
  return {
    check: (model) => steps.some((one) => one.check(model)),
    async run(model, world) {
      const able = steps.filter((one) => one.check(model));
      // Until all have ended: what one of them breaks must not run into the next step.
      const ends = await Promise.allSettled(able.map((one) => one.run(model, world)));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
    toString: () => `together(${steps.map(String).join(' | ')})`,
  };
}

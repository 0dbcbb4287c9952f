import fc from 'fast-check';
import { test } from 'vitest';
import { report } from '../support/measure.ts';
import { type Book, openModel } from './model/book.ts';
import { anyCommands } from './model/commands.ts';
import { Breach } from './model/step.ts';
import { verdict } from './model/verdict.ts';
import { openWorld } from './model/world.ts';

/** How many runs of how many commands; a seed that draws the same commands again, and which of its runs to begin with. */
const { MODEL_RUNS = '3', MODEL_COMMANDS = '50', MODEL_SEED, MODEL_PATH = '' } = process.env;
const runs = Number(MODEL_RUNS);
const seed = Number(MODEL_SEED ?? Date.now() % 1_000_000_000);

test(
  'whatever clients, strangers and faults do, tasks move only as the state machine allows',
  async () => {
    const world = await openWorld();
    const book: Book = new Map();
    let run = 0;
    let trace: string[] = [];
    const property = fc.asyncProperty(anyCommands(Number(MODEL_COMMANDS)), async (commands) => {
      run += 1;
      const model = openModel(book, run);
      ({ trace } = model);
      try {
        await fc.asyncModelRun(() => ({ model, real: world }), commands);
      } finally {
        // Also when a command failed: nothing is to be started after the test.
        await world.heal();
      }
      const began = world.seconds();
      const wrong = await verdict(world, book);
      report(
        `run ${run} of seed ${seed}: ${book.size} orders so far, all final from ${began} to ${world.seconds()}`,
      );
      if (wrong.length > 0) throw new Breach(wrong.join('\n'));
    });
    const found = await fc.check(property, {
      numRuns: runs,
      seed,
      path: MODEL_PATH,
      // No shrinking: a run takes ten seconds, and what is found depends on who was quicker, so that a shorter run which
      // passes proves nothing. The trace tells more.
      endOnFailure: true,
    });
    if (!found.failed) return;
    const again = `MODEL_SEED=${seed} MODEL_PATH=${found.counterexamplePath} MODEL_COMMANDS=${MODEL_COMMANDS} MODEL_RUNS=1`;
    throw new Error(
      [
        String(found.errorInstance),
        'The commands and what came of them:',
        ...trace.map((line) => `  ${line}`),
        `The same commands again: ${again} npx vitest run test/faults/model.rabbitmq.test.ts`,
      ].join('\n'),
      { cause: found.errorInstance },
    );
  },
  60_000 + runs * 180_000,
);

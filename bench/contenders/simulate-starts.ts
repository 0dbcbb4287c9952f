/** Loaded into a worker of this service before its own code: notes when the handler `simulate` starts. */
import { simulate } from '../../src/worker/handlers/simulate.ts';
import { serveStarts } from '../starts.ts';

const { started } = serveStarts();
const { run } = simulate;

simulate.run = (context) => {
  started(context.task.id);
  return run(context);
};

import { isFinal } from './book.ts';
import { excused } from './change-commands.ts';
import { readOne, type Via } from './client.ts';
import { Breach, type Step, stepOn } from './step.ts';
import { until } from './until.ts';
import { histories, witnessOne, wordsOf } from './witness.ts';
import { memberAt } from './world.ts';

const STARTS_WITHIN_MS = 500;

/** What a client reads is what the task was at some moment while it waited. */
export function read(pick: number, api: number, via: Via): Step {
  return stepOn(pick, `read(${via} ${api})`, async (entry, _model, world) => {
    const { url } = memberAt(world, ['apis', api]);
    const { answer, window } = await witnessOne(world, entry, () => readOne(url, via, entry.id));
    if ('away' in answer) return excused(world, answer.away);
    if ('refused' in answer) throw new Breach(`refused with ${answer.refused}`);
    const { status, attempt, version } = answer.got;
    const wasSo = window.during.some(
      (event) =>
        event.status === status &&
        event.attempt === attempt &&
        (version ?? event.version) === event.version,
    );
    if (wasSo) return `${status} (${attempt}) ${version ?? ''}`;
    const read = `${version ?? ''} ${status} (${attempt})`;
    throw new Breach(`was read as ${read}: ${wordsOf(window.during)}`);
  });
}

/** Lets time pass until the task runs or is final, so that what follows does not always meet it waiting. */
export function untilRunning(pick: number): Step {
  return stepOn(pick, 'untilRunning', async (entry, _model, world) => {
    let words = '';
    await until(STARTS_WITHIN_MS, async () => {
      const [history = []] = await histories(world, [entry]);
      const last = history.at(-1);
      words = wordsOf(history);
      return last === undefined || last.status === 'IN_PROGRESS' || isFinal(last);
    });
    return words;
  });
}

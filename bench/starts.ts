/** When handlers start, as the worker process itself sees it: the same way in each contender. */
import { serveCommands, sharedNow } from './streams/commands.ts';

export type Starts = ReturnType<typeof serveStarts>['commands'];

/** Answers questions of the process that started this one. */
export function serveStarts() {
  let firstAt = Number.NaN;
  let isRecording = false;
  const times = new Map<string, number>();

  const commands = {
    /** Of the first handler since the process began, in milliseconds of the Unix epoch. */
    firstStartAt: () => firstAt,
    /** Keeps the start of every handler from now on. */
    recordStarts() {
      isRecording = true;
    },
    /** By task, in milliseconds of the clock that all processes of this machine share. */
    starts: () => times,
  };
  serveCommands(commands);

  /** To be called first thing in a handler. */
  function started(id: string): void {
    if (Number.isNaN(firstAt)) firstAt = performance.timeOrigin + performance.now();
    if (isRecording) times.set(id, sharedNow());
  }

  return { commands, started };
}

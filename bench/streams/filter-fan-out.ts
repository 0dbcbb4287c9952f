import type { Task } from '../../src/domain/task.ts';
import { createAdvance } from '../../src/tasks/advance.ts';
import type { AudienceCommands } from './audience.ts';
import { FOLDER, startChild } from './child.ts';
import { holdContest } from './contest.ts';
import { watchTask, watchTasks } from './documents.ts';
import type { Findings } from './figures.ts';
import { openService, type Stage } from './service.ts';
import { swing } from './swing.ts';

/**
 * The same number of changes, real ones, to the same number of subscribers: who watch one task by its id, and who watch
 * all tasks of a filter.
 */
export async function measureFilterFanOut(
  stage: Stage,
  options: { subscribers: number; changes: number; rounds: number },
): Promise<Findings> {
  const { subscribers, changes, rounds } = options;
  const service = await openService(stage);
  const api = await service.startApi();
  const audience = startChild<AudienceCommands>({ script: `${FOLDER}/audience.ts` });
  stage.releases.push('the audience', audience.stop);
  const advance = createAdvance({ sql: service.database, broker: service.broker });
  let one: readonly Task[] = await service.createTasks(1, 'HIGH');
  let many: readonly Task[] = await service.createTasks(changes, 'LOW');

  /** @returns the tasks as it left them */
  async function change(tasks: readonly Task[]): Promise<Task[]> {
    const done = await advance(tasks.map(swing));
    return done.flatMap((change) => (change === undefined ? [] : [change.task]));
  }

  const byId = new Array(subscribers).fill(one.map(({ id }) => watchTask(id)));
  const low = watchTasks({ priority: ['LOW'] }, await service.lastCursor());
  const byFilter = new Array(subscribers).fill([low]);
  const { url } = api;
  await audience.ask('openCounting', {
    group: 'id',
    url,
    sockets: byId,
    greetings: subscribers,
  });
  await audience.ask('openCounting', { group: 'filter', url, sockets: byFilter, greetings: 0 });

  const contenders = [
    {
      name: 'by id',
      group: 'id',
      server: api,
      async send() {
        for (let left = changes; left > 0; left -= 1) one = await change(one);
      },
    },
    {
      name: 'by filter',
      group: 'filter',
      server: api,
      async send() {
        many = await change(many);
      },
    },
  ];
  return holdContest(contenders, { audience, rounds, count: subscribers * changes });
}

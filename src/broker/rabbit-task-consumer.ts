import { TASK_PRIORITIES } from '../domain/task.ts';
import type { Broker, TaskConsumer } from './broker.ts';
import { type LaneOptions, openLane } from './rabbit-lane.ts';
import type { RabbitNames } from './rabbit-names.ts';

type Consuming = Omit<LaneOptions, 'queue' | 'slots' | 'onTask'> & { names: RabbitNames };

/** See `Broker.consumeTasks`: a channel for each priority, since what is acknowledged up to a message is so on its channel. */
export async function consumeRabbitTasks(
  { slots, onTask }: Parameters<Broker['consumeTasks']>[0],
  { names, ...rest }: Consuming,
): Promise<TaskConsumer> {
  const lanes = TASK_PRIORITIES.filter((priority) => slots[priority] > 0).map((priority) =>
    openLane({ ...rest, onTask, queue: names.taskQueue[priority], slots: slots[priority] }),
  );
  await Promise.all(lanes.map(({ tried }) => tried));
  return {
    async stop() {
      await Promise.all(lanes.map((lane) => lane.stop()));
    },
  };
}

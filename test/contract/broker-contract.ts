import { v7 as uuidv7 } from 'uuid';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Broker, TaskDelivery } from '../../src/broker/broker.ts';
import { BrokerUnavailable } from '../../src/broker/broker.ts';
import type { TaskMessage } from '../../src/broker/messages.ts';
import { eventPattern, progressPattern } from '../../src/broker/messages.ts';
import type { TaskChange, TaskPriority, TaskProgress } from '../../src/domain/task.ts';
import { createInbox } from '../support/inbox.ts';
import { makeCancellation, makeTaskChange } from '../support/task-changes.ts';
import { makeTaskProgress } from '../support/task-progress.ts';

/** Every promise of the port `src/broker/broker.ts`, held to one implementation. */
export function describeBroker(name: string, create: () => Promise<Broker>): void {
  describe(`the ${name} broker`, () => defineTests(create));
}

function defineTests(create: () => Promise<Broker>): void {
  async function openBroker(): Promise<Broker> {
    const broker = await create();
    onTestFinished(() => broker.close());
    if (!broker.ready) await new Promise<void>((resolve) => broker.onReady(resolve));
    return broker;
  }

  async function consume(broker: Broker, slots: Partial<Record<TaskPriority, number>>) {
    const inbox = createInbox<TaskDelivery>();
    const consumer = await broker.consumeTasks({
      slots: { HIGH: 0, MEDIUM: 0, LOW: 0, ...slots },
      onTask: inbox.put,
    });
    return { ...inbox, stop: consumer.stop };
  }

  async function listen(broker: Broker, ...patterns: string[]) {
    const inbox = createInbox<TaskChange>();
    const progress = createInbox<TaskProgress>();
    /** What it carries of either kind, in the order in which that arrived. */
    const both = createInbox<TaskChange | TaskProgress>();
    const stream = await broker.openEventStream({
      onChange(change) {
        inbox.put(change);
        both.put(change);
      },
      onProgress(one) {
        progress.put(one);
        both.put(one);
      },
      onGap: () => {},
    });
    for (const pattern of patterns) await stream.bind(pattern);
    return { ...inbox, ...stream, progress, both };
  }

  async function hearCancellations(broker: Broker) {
    const inbox = createInbox<TaskChange>();
    const { close } = await broker.openCancellations({ onCancelled: inbox.put, onGap: () => {} });
    return { ...inbox, close };
  }

  async function expectDepth(broker: Broker, priority: TaskPriority, depth: number) {
    await vi.waitFor(async () => expect(await broker.queueDepth(priority)).toBe(depth));
  }

  test('a task reaches a consumer of its priority, whether it was there first or not', async () => {
    const broker = await openBroker();
    const early = makeMessage('HIGH');
    await broker.publishTasks([early]);
    const inbox = await consume(broker, { HIGH: 1, LOW: 1 });
    const first = await inbox.take();
    const late = makeMessage('LOW');
    await broker.publishTasks([late]);
    const second = await inbox.take();
    expect([first.message, second.message]).toEqual([early, late]);
  });

  test('publishing nothing succeeds', async () => {
    const broker = await openBroker();
    await expect(broker.publishTasks([])).resolves.toBeUndefined();
  });

  test('each of 5,000 tasks published at once arrives once', async () => {
    const broker = await openBroker();
    const messages = Array.from({ length: 5_000 }, () => makeMessage('MEDIUM'));
    const inbox = await consume(broker, { MEDIUM: 100 });
    await broker.publishTasks(messages);
    const seen = new Set<string>();
    while (seen.size < messages.length) {
      const delivery = await inbox.take();
      seen.add(delivery.message.id);
      delivery.ack();
    }
    expect(seen).toEqual(new Set(messages.map(({ id }) => id)));
    expect(inbox.all).toHaveLength(messages.length);
  });

  test('a consumer holds no more than its slots, and settling frees one', async () => {
    const broker = await openBroker();
    await broker.publishTasks(Array.from({ length: 5 }, () => makeMessage('HIGH')));
    const inbox = await consume(broker, { HIGH: 2 });
    const [first] = await inbox.takeMany(2);
    await expectDepth(broker, 'HIGH', 3);
    expect(inbox.all).toHaveLength(2);
    first?.ack();
    await inbox.take();
    await expectDepth(broker, 'HIGH', 2);
    expect(inbox.all).toHaveLength(3);
  });

  test('the slots of one priority are not taken by another', async () => {
    const broker = await openBroker();
    const inbox = await consume(broker, { HIGH: 1, LOW: 1 });
    await broker.publishTasks([makeMessage('LOW'), makeMessage('LOW')]);
    await inbox.take();
    await broker.publishTasks([makeMessage('HIGH')]);
    const { message } = await inbox.take();
    expect(message.priority).toBe('HIGH');
  });

  test('a priority with no slots is not consumed', async () => {
    const broker = await openBroker();
    const inbox = await consume(broker, { HIGH: 1 });
    await broker.publishTasks([makeMessage('LOW'), makeMessage('HIGH')]);
    const { message } = await inbox.take();
    expect(message.priority).toBe('HIGH');
    expect(await broker.queueDepth('LOW')).toBe(1);
  });

  test('two consumers share what there is', async () => {
    const broker = await openBroker();
    const one = await consume(broker, { HIGH: 1 });
    const other = await consume(broker, { HIGH: 1 });
    await broker.publishTasks([makeMessage('HIGH'), makeMessage('HIGH')]);
    const [mine, theirs] = await Promise.all([one.take(), other.take()]);
    expect(mine.message.id).not.toBe(theirs.message.id);
  });

  test('a requeued task is delivered again', async () => {
    const broker = await openBroker();
    const inbox = await consume(broker, { MEDIUM: 1 });
    const message = makeMessage('MEDIUM');
    await broker.publishTasks([message]);
    const delivery = await inbox.take();
    delivery.requeue();
    const again = await inbox.take();
    expect(again.message).toEqual(message);
    again.ack();
  });

  test('settling a second time changes nothing', async () => {
    const broker = await openBroker();
    const inbox = await consume(broker, { MEDIUM: 1 });
    await broker.publishTasks([makeMessage('MEDIUM')]);
    const delivery = await inbox.take();
    delivery.ack();
    delivery.ack();
    delivery.requeue();
    const next = makeMessage('MEDIUM');
    await broker.publishTasks([next]);
    const following = await inbox.take();
    expect(following.message).toEqual(next);
    expect(await broker.queueDepth('MEDIUM')).toBe(0);
  });

  test('what is acknowledged early keeps its slot until it is settled', async () => {
    const broker = await openBroker();
    const busy = await consume(broker, { HIGH: 1 });
    const message = makeMessage('HIGH');
    await broker.publishTasks([message]);
    const long = await busy.take();
    long.ackEarly();
    const other = await consume(broker, { HIGH: 1 });
    // Whoever had a free slot would get one of them in turn.
    for (let count = 0; count < 5; count += 1) {
      await broker.publishTasks([makeMessage('HIGH')]);
      (await other.take()).ack();
    }
    expect(busy.all).toHaveLength(1);
    await other.stop();
    long.requeue();
    const next = makeMessage('HIGH');
    await broker.publishTasks([next]);
    const delivery = await busy.take();
    expect(delivery.message).toEqual(next);
    expect(busy.all).toHaveLength(2);
  });

  test('in whatever order deliveries are settled, early or not, the slots are filled and no more', async () => {
    const broker = await openBroker();
    const slots = 4;
    const messages = Array.from({ length: 300 }, () => makeMessage('LOW'));
    await broker.publishTasks(messages);
    const inbox = await consume(broker, { LOW: slots });
    const held: TaskDelivery[] = [];
    for (let seen = 0; seen < messages.length; ) {
      const left = messages.length - seen;
      held.push(...(await inbox.takeMany(Math.min(slots - held.length, left))));
      seen = inbox.all.length;
      expect(held.length).toBeLessThanOrEqual(slots);
      for (const delivery of held) if (Math.random() < 0.3) delivery.ackEarly();
      const done = held.splice(Math.floor(Math.random() * held.length), 1 + (seen % slots));
      for (const delivery of done) delivery.ack();
    }
    expect(new Set(inbox.all.map(({ message }) => message.id)).size).toBe(messages.length);
    expect(inbox.all).toHaveLength(messages.length);
    await expectDepth(broker, 'LOW', 0);
  });

  test('a stopped consumer gets nothing more, and can still settle what it holds', async () => {
    const broker = await openBroker();
    const stopped = await consume(broker, { LOW: 2 });
    await broker.publishTasks([makeMessage('LOW')]);
    const held = await stopped.take();
    await stopped.stop();
    await stopped.stop();
    const later = makeMessage('LOW');
    await broker.publishTasks([later]);
    await expectDepth(broker, 'LOW', 1);
    held.ack();
    const inbox = await consume(broker, { LOW: 5 });
    const { message } = await inbox.take();
    expect(message).toEqual(later);
    expect(stopped.all).toHaveLength(1);
    await expectDepth(broker, 'LOW', 0);
  });

  test('a task that a stopped consumer requeues goes to another', async () => {
    const broker = await openBroker();
    const stopped = await consume(broker, { LOW: 1 });
    const message = makeMessage('LOW');
    await broker.publishTasks([message]);
    const held = await stopped.take();
    await stopped.stop();
    held.requeue();
    const inbox = await consume(broker, { LOW: 1 });
    const delivery = await inbox.take();
    expect(delivery.message).toEqual(message);
  });

  test('a delivery does not come from within the publishing call', async () => {
    const broker = await openBroker();
    const inbox = await consume(broker, { HIGH: 1 });
    const published = broker.publishTasks([makeMessage('HIGH')]);
    expect(inbox.all).toHaveLength(0);
    await published;
    await inbox.take();
  });

  test('a change arrives as it was announced', async () => {
    const broker = await openBroker();
    const stream = await listen(broker, eventPattern());
    const change = makeTaskChange();
    broker.publishEvents([change]);
    await expect(stream.take()).resolves.toEqual(change);
  });

  test('changes arrive in the order in which they were announced', async () => {
    const broker = await openBroker();
    const stream = await listen(broker, eventPattern());
    const changes = Array.from({ length: 500 }, (_, version) =>
      makeTaskChange({ event: { version } }),
    );
    broker.publishEvents(changes.slice(0, 200));
    broker.publishEvents(changes.slice(200));
    const received = await stream.takeMany(500);
    expect(received.map(({ event }) => event.version)).toEqual(
      changes.map(({ event }) => event.version),
    );
  });

  test('a stream carries only what is bound, each change once', async () => {
    const broker = await openBroker();
    const watched = makeTaskChange({ task: { priority: 'LOW' }, event: { status: 'FAILED' } });
    const stream = await listen(broker, eventPattern({ id: watched.task.id }));
    await stream.bind(eventPattern({ priority: 'LOW', status: 'FAILED' }));
    const last = makeTaskChange({ task: { id: watched.task.id } });
    broker.publishEvents([
      makeTaskChange(),
      watched,
      makeTaskChange({ task: { priority: 'HIGH' }, event: { status: 'FAILED' } }),
      last,
    ]);
    expect(await stream.takeMany(2)).toEqual([watched, last]);
    expect(stream.all).toHaveLength(2);
  });

  test('a stream with nothing bound carries nothing', async () => {
    const broker = await openBroker();
    const unbound = await listen(broker);
    const bound = await listen(broker, eventPattern());
    broker.publishEvents([makeTaskChange()]);
    await bound.take();
    expect(unbound.all).toHaveLength(0);
  });

  test('what was unbound no longer arrives', async () => {
    const broker = await openBroker();
    const stream = await listen(broker, eventPattern({ priority: 'LOW' }));
    await stream.bind(eventPattern({ priority: 'HIGH' }));
    await stream.unbind(eventPattern({ priority: 'LOW' }));
    broker.publishEvents([
      makeTaskChange({ task: { priority: 'LOW' } }),
      makeTaskChange({ task: { priority: 'HIGH' } }),
    ]);
    const { task } = await stream.take();
    expect(task.priority).toBe('HIGH');
  });

  test('every stream gets its own copy of a change, a closed one none', async () => {
    const broker = await openBroker();
    const one = await listen(broker, eventPattern());
    const other = await listen(broker, eventPattern());
    const closed = await listen(broker, eventPattern());
    await closed.close();
    const change = makeTaskChange();
    broker.publishEvents([change]);
    expect(await Promise.all([one.take(), other.take()])).toEqual([change, change]);
    expect(closed.all).toHaveLength(0);
  });

  test('progress reaches each stream that bound its task, as it was announced, and nobody else', async () => {
    const broker = await openBroker();
    const [one, other] = [makeTaskProgress(), makeTaskProgress({ message: null, progress: 1 })];
    const ofOne = await listen(broker, progressPattern(one.taskId));
    const ofBoth = await listen(
      broker,
      progressPattern(one.taskId),
      progressPattern(other.taskId),
      eventPattern(),
    );
    const ofNone = await listen(broker, eventPattern());
    broker.publishProgress([other, one]);
    const last = makeTaskChange();
    broker.publishEvents([last]);
    expect(await ofBoth.both.takeMany(3)).toEqual([other, one, last]);
    expect(await ofNone.both.take()).toEqual(last);
    expect(await ofOne.both.take()).toEqual(one);
    const next = makeTaskProgress({ taskId: one.taskId, progress: 0.75 });
    broker.publishProgress([next]);
    expect(await ofOne.both.take()).toEqual(next);
    expect([ofNone.progress.all, ofOne.all]).toEqual([[], []]);
  });

  test('who watches the changes of a task gets no progress of it, and the other way round', async () => {
    const broker = await openBroker();
    const progress = makeTaskProgress();
    const change = makeTaskChange({ task: { id: progress.taskId } });
    const changes = await listen(broker, eventPattern({ id: progress.taskId }));
    const ofProgress = await listen(broker, progressPattern(progress.taskId));
    for (let round = 0; round < 2; round += 1) {
      broker.publishProgress([progress]);
      broker.publishEvents([change]);
    }
    expect(await changes.both.takeMany(2)).toEqual([change, change]);
    expect(await ofProgress.both.takeMany(2)).toEqual([progress, progress]);
    expect([changes.both.all.length, ofProgress.both.all.length]).toEqual([2, 2]);
  });

  test('progress arrives in order with the changes before and after it', async () => {
    const broker = await openBroker();
    const id = uuidv7();
    const stream = await listen(broker, eventPattern({ id }), progressPattern(id));
    const announced = Array.from({ length: 200 }, (_, version) => [
      makeTaskChange({ task: { id }, event: { version } }),
      makeTaskProgress({ taskId: id, version }),
    ]).flat();
    for (const one of announced) {
      if ('event' in one) broker.publishEvents([one]);
      else broker.publishProgress([one]);
    }
    expect(await stream.both.takeMany(400)).toEqual(announced);
  });

  test('progress that was unbound no longer arrives', async () => {
    const broker = await openBroker();
    const [gone, kept] = [makeTaskProgress(), makeTaskProgress()];
    const stream = await listen(broker, progressPattern(gone.taskId), progressPattern(kept.taskId));
    await stream.unbind(progressPattern(gone.taskId));
    broker.publishProgress([gone, kept]);
    expect(await stream.both.take()).toEqual(kept);
  });

  test('the end of a run from outside reaches everyone who hears of cancellations, as it was announced, in order', async () => {
    const broker = await openBroker();
    const one = await hearCancellations(broker);
    const other = await hearCancellations(broker);
    const cancelled = Array.from({ length: 50 }, () => makeCancellation());
    broker.publishEvents(cancelled.slice(0, 20));
    broker.publishEvents(cancelled.slice(20));
    expect(await one.takeMany(50)).toEqual(cancelled);
    expect(await other.takeMany(50)).toEqual(cancelled);
  });

  test('who hears of cancellations hears of nothing else', async () => {
    const broker = await openBroker();
    const inbox = await hearCancellations(broker);
    const last = makeCancellation();
    broker.publishProgress([makeTaskProgress()]);
    broker.publishEvents([
      makeTaskChange({ event: { previousStatus: 'IN_PROGRESS', status: 'COMPLETED' } }),
      makeTaskChange({ event: { previousStatus: 'PENDING', status: 'IN_PROGRESS' } }),
      makeTaskChange({ event: { previousStatus: 'NEW', status: 'CANCELLED' } }),
      makeTaskChange({ event: { previousStatus: 'PENDING', status: 'CANCELLED' } }),
      last,
    ]);
    await expect(inbox.take()).resolves.toEqual(last);
    expect(inbox.all).toHaveLength(1);
  });

  test('a cancellation is a change like any other to the streams, which get it once', async () => {
    const broker = await openBroker();
    await hearCancellations(broker);
    const stream = await listen(broker, eventPattern());
    const changes = [makeTaskChange(), makeCancellation(), makeTaskChange()];
    broker.publishEvents(changes);
    expect(await stream.takeMany(3)).toEqual(changes);
  });

  test('who no longer wants to hear of cancellations hears of none', async () => {
    const broker = await openBroker();
    const closed = await hearCancellations(broker);
    const open = await hearCancellations(broker);
    await closed.close();
    broker.publishEvents([makeCancellation()]);
    await open.take();
    expect(closed.all).toHaveLength(0);
  });

  test('a closed broker refuses tasks, ignores events and can be closed again', async () => {
    const broker = await openBroker();
    await broker.close();
    expect(broker.ready).toBe(false);
    await expect(broker.publishTasks([makeMessage('HIGH')])).rejects.toThrow(BrokerUnavailable);
    await expect(broker.queueDepth('HIGH')).rejects.toThrow(BrokerUnavailable);
    broker.publishEvents([makeTaskChange()]);
    broker.publishProgress([makeTaskProgress()]);
    await broker.close();
  });

  test('closing with consumers and streams in use leaves nothing behind', async () => {
    const broker = await openBroker();
    const inbox = await consume(broker, { HIGH: 1, MEDIUM: 1, LOW: 1 });
    const stream = await listen(broker, eventPattern());
    const cancellations = await hearCancellations(broker);
    await broker.publishTasks([makeMessage('HIGH')]);
    const held = await inbox.take();
    await broker.close();
    held.ack();
    await inbox.stop();
    await stream.bind(eventPattern({ priority: 'LOW' }));
    await stream.close();
    await cancellations.close();
  });
}

function makeMessage(priority: TaskPriority): TaskMessage {
  return { id: uuidv7(), priority };
}

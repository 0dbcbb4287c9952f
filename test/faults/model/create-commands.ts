import type { Entry, Order, Plan } from './book.ts';
import { createMany, createOne, type Outcome, type Shown, type Via } from './client.ts';
import { Breach, type Step, step } from './step.ts';
import { histories, wordsOf } from './witness.ts';
import { memberAt, type World } from './world.ts';

export function create(api: number, via: Via, plan: Plan): Step {
  return step(`create(${via} ${api}, ${JSON.stringify(plan)})`, async (model, world) => {
    const [entry] = model.enter([plan]);
    if (entry === undefined) throw new Error('One plan gave no entry.');
    const told = await telling(world, api, (url) => createOne(url, via, entry.order));
    if (!('got' in told.outcome)) return unanswered(world, told.outcome);
    if (told.outcome.got.isReplay) throw new Breach('a first create was answered as a repeat');
    return acknowledge(world, entry, told.outcome.got, told);
  });
}

export function createAll(api: number, plans: readonly Plan[]): Step {
  return step(`createAll(${api}, ${JSON.stringify(plans)})`, async (model, world) => {
    const entries = model.enter(plans);
    const orders = entries.map(({ order }) => order);
    const told = await telling(world, api, (url) => createMany(url, orders));
    if (!('got' in told.outcome)) return unanswered(world, told.outcome);
    const { got } = told.outcome;
    const sorted = got.map(({ id }) => id).toSorted();
    if (got.length !== orders.length || got.some(({ id }, index) => id !== sorted[index])) {
      throw new Breach(`createTasks lost the order of its input: ${JSON.stringify(got)}`);
    }
    const words: string[] = [];
    for (const [index, entry] of entries.entries()) {
      const shown = got[index];
      if (shown !== undefined) words.push(await acknowledge(world, entry, shown, told));
    }
    return words.join('; ');
  });
}

/** Sends a keyed order once more: one that was answered, or one of which nobody knows what has become. */
export function repeat(pick: number, api: number, via: Via): Step {
  return step(
    `repeat(-${pick}, ${via} ${api})`,
    async (model, world) => {
      const entry = keyed(model.entries(), pick);
      if (entry === undefined) return 'there is none';
      entry.call = model.next();
      const { outcome } = await telling(world, api, (url) => createOne(url, via, entry.order));
      if (!('got' in outcome)) return unanswered(world, outcome);
      if (entry.id !== undefined && outcome.got.isReplay === false) {
        throw new Breach(`${entry.order.title} was created twice`);
      }
      return acknowledge(world, entry, outcome.got);
    },
    (model) => keyed(model.entries(), pick) !== undefined,
  );
}

/** The same key with another input. */
export function contradict(pick: number, api: number, via: Via): Step {
  return step(
    `contradict(-${pick}, ${via} ${api})`,
    async (model, world) => {
      const entry = keyed(model.known(), pick);
      if (entry === undefined) return 'there is none';
      const order: Order = { ...entry.order, title: `not ${entry.order.title}` };
      const { outcome } = await telling(world, api, (url) => createOne(url, via, order));
      if ('away' in outcome) return unanswered(world, outcome);
      const code = via === 'REST' ? '409' : 'IDEMPOTENCY_CONFLICT';
      if ('refused' in outcome && outcome.refused === code) return code;
      throw new Breach(`a key with other input was answered ${JSON.stringify(outcome)}`);
    },
    (model) => keyed(model.known(), pick) !== undefined,
  );
}

function keyed<E extends Entry>(entries: readonly E[], pick: number): E | undefined {
  const able = entries.filter(({ order }) => order.idempotencyKey !== undefined);
  return able.at(-1 - (pick % Math.max(able.length, 1)));
}

interface Told<T> {
  outcome: Outcome<T>;
  /** RabbitMQ was out of this API's reach all the while, so that it cannot have confirmed anything. */
  rabbitWasDead: boolean;
}

async function telling<T>(
  world: World,
  index: number,
  call: (url: string) => Promise<Outcome<T>>,
): Promise<Told<T>> {
  const api = memberAt(world, ['apis', index]);
  const { rabbitEra, rabbitIsDead } = api;
  const outcome = await call(api.url);
  return { outcome, rabbitWasDead: rabbitIsDead && api.rabbitEra === rabbitEra };
}

/** What was acknowledged must be stored at once, as it was told. */
async function acknowledge(
  world: World,
  entry: Entry,
  shown: Shown,
  told?: Told<unknown>,
): Promise<string> {
  const { id, title, status } = shown;
  const { order } = entry;
  if (title !== order.title) throw new Breach(`${order.title} was answered with ${title}`);
  if (entry.id !== undefined && entry.id !== id) {
    throw new Breach(`${title} is ${entry.id} and ${id}`);
  }
  const [history = []] = await histories(world, [Object.assign(entry, { id })]);
  if (!history.some((event) => event.status === status)) {
    throw new Breach(`${title} was told to be ${status}, with the history ${wordsOf(history)}`);
  }
  if (told === undefined) return `${id} ${status}`;
  if (status !== 'NEW' && status !== 'PENDING') throw new Breach(`${title} began as ${status}`);
  if (status === 'PENDING' && told.rabbitWasDead) {
    throw new Breach(`${title} is PENDING, though RabbitMQ was away`);
  }
  if (status === 'NEW' && !world.since.harmed && order.runAt === undefined) {
    throw new Breach(`${title} is NEW, though all was well`);
  }
  return `${id} ${status}`;
}

/** For a request without an answer there must be a reason. */
function unanswered(world: World, outcome: { away: string } | { refused: string }): string {
  if ('refused' in outcome) throw new Breach(`a create was refused: ${outcome.refused}`);
  if (!world.since.harmed) throw new Breach(`away, though all was well: ${outcome.away}`);
  return outcome.away;
}

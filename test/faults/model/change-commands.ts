import type { TaskPriority, TaskStatus } from '../../../src/domain/task.ts';
import { isRetry } from '../../support/histories.ts';
import { isFinal, type KnownEntry, type Model } from './book.ts';
import {
  cancelMany,
  cancelOne,
  type Filter,
  type Outcome,
  retryMany,
  retryOne,
  type Via,
} from './client.ts';
import { Breach, type Step, step, stepOn } from './step.ts';
import { witness, witnessOne, wordsOf } from './witness.ts';
import { memberAt, type World } from './world.ts';

const CANCELLABLE: readonly TaskStatus[] = ['NEW', 'PENDING', 'IN_PROGRESS'];
const RETRYABLE: readonly TaskStatus[] = ['FAILED', 'CANCELLED'];

export function cancel(pick: number, api: number, via: Via): Step {
  return stepOn(pick, `cancel(${via} ${api})`, async (entry, model, world) => {
    const reason = `${model.prefix}cancel ${model.next()}`;
    entry.cancels.asked += 1;
    const { answer, window } = await witnessOne(world, entry, () =>
      cancelOne(urlOf(world, api), via, entry.id, reason),
    );
    if ('away' in answer) return excused(world, answer.away);
    if ('refused' in answer) {
      const code = via === 'REST' ? '409' : 'TASK_NOT_CANCELLABLE';
      if (answer.refused === code && window.during.some(isFinal)) return code;
      throw new Breach(`refused with ${answer.refused}: ${wordsOf(window.during)}`);
    }
    entry.cancels.granted += 1;
    const { status, version } = answer.got;
    const isIt = (event: { status: TaskStatus; version: number }) =>
      event.status === 'CANCELLED' && (version ?? event.version) === event.version;
    if (status !== 'CANCELLED' || !window.changes.some(isIt)) {
      throw new Breach(`told to be ${status} ${version}: ${wordsOf(window.during)}`);
    }
    if (via === 'GraphQL') await expectEvents(world, reason, 1);
    return `CANCELLED ${version ?? ''}`;
  });
}

export function retry(pick: number, api: number): Step {
  return stepOn(pick, `retry(${api})`, async (entry, _model, world) => {
    entry.retries.asked += 1;
    const { answer, window } = await witnessOne(world, entry, () =>
      retryOne(urlOf(world, api), entry.id),
    );
    if ('away' in answer) return excused(world, answer.away);
    if ('refused' in answer) {
      const isRefusable = window.during.some(({ status }) => !RETRYABLE.includes(status));
      if (answer.refused === 'TASK_NOT_RETRYABLE' && isRefusable) return answer.refused;
      throw new Breach(`refused with ${answer.refused}: ${wordsOf(window.during)}`);
    }
    entry.retries.granted += 1;
    const { status, version } = answer.got;
    if (!window.changes.some((event) => isRetry(event) && event.version === version)) {
      throw new Breach(`told to be ${status} ${version}: ${wordsOf(window.during)}`);
    }
    return `${status} ${version}`;
  });
}

/** What a bulk change is narrowed to, besides the tasks of its run. */
export interface Narrowing {
  picks?: number[];
  status?: TaskStatus[];
  priority?: TaskPriority[];
}

export function cancelAll(api: number, narrowing: Narrowing): Step {
  return step(`cancelAll(${api}, ${JSON.stringify(narrowing)})`, async (model, world) => {
    const reason = `${model.prefix}cancel ${model.next()}`;
    for (const { cancels } of model.entries()) cancels.asked += 1;
    const call = (filter: Filter) => cancelMany(urlOf(world, api), filter, reason);
    const count = await changeAll(model, world, { narrowing, from: CANCELLABLE, call });
    if (typeof count === 'string') return count;
    await expectEvents(world, reason, count);
    return `${count} cancelled`;
  });
}

export function retryAll(api: number, narrowing: Narrowing): Step {
  return step(`retryAll(${api}, ${JSON.stringify(narrowing)})`, async (model, world) => {
    for (const { retries } of model.entries()) retries.asked += 1;
    const call = (filter: Filter) => retryMany(urlOf(world, api), filter);
    const count = await changeAll(model, world, { narrowing, from: RETRYABLE, call });
    return typeof count === 'string' ? count : `${count} retried`;
  });
}

/** @returns how many were changed, or why nobody knows */
async function changeAll(
  model: Model,
  world: World,
  options: {
    narrowing: Narrowing;
    from: readonly TaskStatus[];
    call: (filter: Filter) => Promise<Outcome<{ count: number }>>;
  },
): Promise<number | string> {
  const { narrowing, from, call } = options;
  const { picks, ...rest } = narrowing;
  const known = model.known();
  const meant = new Set(picks?.map((pick) => known.at(-1 - (pick % known.length))));
  const ids = known.filter((entry) => meant.has(entry)).map(({ id }) => id);
  const filter = { search: model.prefix, ...rest, ...(picks && { ids }) };
  const { answer, windows } = await witness(world, known, () => call(filter));
  if ('away' in answer) return excused(world, answer.away);
  if ('refused' in answer) throw new Breach(`refused with ${answer.refused}`);
  const allowed = from.filter((status) => narrowing.status?.includes(status) ?? true);
  for (const [index, entry] of known.entries()) {
    const during = windows[index]?.during ?? [];
    const matches = (picks === undefined || meant.has(entry)) && hasPriority(entry, narrowing);
    // One that left these statuses meanwhile may have been changed or have escaped.
    if (matches && during.every(({ status }) => allowed.includes(status))) {
      throw new Breach(`${entry.order.title} was passed over: ${wordsOf(during)}`);
    }
  }
  return answer.got.count;
}

function hasPriority({ order }: KnownEntry, { priority }: Narrowing): boolean {
  return priority?.includes(order.priority) ?? true;
}

/** Each change that a client asked for with a reason of its own happened as often as it was told. */
async function expectEvents(world: World, reason: string, count: number): Promise<void> {
  const text = 'select count(*)::int as count from task_events where reason = $1';
  const { rows } = await world.ledger.sql.query<{ count: number }>(text, [reason]);
  if (rows[0]?.count === count) return;
  throw new Breach(`${count} changes were told, ${rows[0]?.count} happened`);
}

function urlOf(world: World, api: number): string {
  return memberAt(world, ['apis', api]).url;
}

export function excused(world: World, away: string): string {
  if (!world.since.harmed) throw new Breach(`away, though all was well: ${away}`);
  return away;
}

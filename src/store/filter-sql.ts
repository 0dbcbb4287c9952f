import type { TaskFilter } from '../domain/task-filter.ts';
import { firstIdAfter, lastIdBefore } from './id-drift.ts';

/** A condition and the values of its parameters, which are numbered from $1. */
export interface Condition {
  text: string;
  values: unknown[];
}

/** `matchesFilter` as a condition on the relation `t`, for those who have the tasks at hand. */
export function filterSql(filter: TaskFilter): Condition {
  return conditionOn(filter, 't');
}

/** What to select from, and how, to find the tasks `t` that match. */
export interface Search extends Condition {
  /** What stands after `from`. */
  from: string;
  /** Bounds what is read by the id of the tasks, in whatever index they are looked up. */
  idBound: (operator: '<' | '<=' | '>' | '>=', parameter: string) => string;
}

/** The same for those who look for tasks by their indexes: what never changes of a task has its own in `task_traits`. */
export function searchSql(filter: TaskFilter): Search {
  const byTraits = [filter.priority, filter.type, filter.search].some((wanted) => wanted != null);
  const relation = byTraits ? 'i' : 't';
  return {
    ...conditionOn(filter, relation),
    from: byTraits ? 'task_traits i join tasks t on t.id = i.id' : 'tasks t',
    idBound: (operator, parameter) => bounded(relation, operator, parameter),
  };
}

/** An equality of two columns lets PostgreSQL order either by the other, but not bound it. */
function bounded(traits: Relation, operator: string, bound: string): string {
  const relations = new Set<Relation>(['t', traits]);
  return [...relations].map((relation) => `${relation}.id ${operator} ${bound}`).join(' and ');
}

type Relation = 't' | 'i';

/**
 * Only the conditions that the filter has, so that each combination gets the index it deserves.
 * @param traits the relation that has what never changes of a task
 */
function conditionOn(filter: TaskFilter, traits: Relation): Condition {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value == null) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  add(filter.ids, (ids) => `t.id = any (${ids}::uuid[])`);
  add(single(filter.status), (status) => `t.status = ${status}::task_status`);
  add(several(filter.status), (statuses) => `t.status = any (${statuses}::task_status[])`);
  add(single(filter.priority), (priority) => `${traits}.priority = ${priority}::task_priority`);
  add(several(filter.priority), (some) => `${traits}.priority = any (${some}::task_priority[])`);
  add(single(filter.type), (type) => `${traits}.type = ${type}`);
  add(several(filter.type), (types) => `${traits}.type = any (${types}::text[])`);
  add(filter.search && `%${escapeLike(filter.search)}%`, (pattern) => {
    const isFound = `(${traits}.title ilike ${pattern} or ${traits}.description ilike ${pattern})`;
    // True of all that is found, and dear: else a page of what few have would be looked for from the newest on.
    return traits === 'i' ? `${isFound} and is_searched(i.title) is not null` : isFound;
  });
  // By their ids, which every index of the list has, they are found; by the times themselves it is decided.
  add(filter.createdAfter, (after) => {
    return `t.created_at > ${after}::timestamptz and ${bounded(traits, '>=', firstIdAfter(after))}`;
  });
  add(filter.createdBefore, (before) => {
    return `t.created_at < ${before}::timestamptz and ${bounded(traits, '<', lastIdBefore(before))}`;
  });
  return { text: conditions.join(' and ') || 'true', values };
}

/** One value compared with `=` keeps the order of an index like (status, id); a list does not. */
function single<T>(list: readonly T[] | null | undefined): T | undefined {
  return list?.length === 1 ? list[0] : undefined;
}

function several<T>(list: readonly T[] | null | undefined): readonly T[] | undefined {
  return list == null || list.length === 1 ? undefined : list;
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

import type { TaskFilter } from '../domain/task-filter.ts';
import { firstIdAfter, lastIdBefore } from './id-drift.ts';

/** A condition on the relation `t` and the values of its parameters, which are numbered from $1. */
export interface Condition {
  text: string;
  values: unknown[];
}

/**
 * `matchesFilter` as SQL, with only the conditions that the filter has, so that each combination gets the index it
 * deserves.
 */
export function filterSql(filter: TaskFilter): Condition {
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
  add(single(filter.priority), (priority) => `t.priority = ${priority}::task_priority`);
  add(several(filter.priority), (some) => `t.priority = any (${some}::task_priority[])`);
  add(single(filter.type), (type) => `t.type = ${type}`);
  add(several(filter.type), (types) => `t.type = any (${types}::text[])`);
  add(filter.search && `%${escapeLike(filter.search)}%`, (pattern) => {
    return `(t.title ilike ${pattern} or t.description ilike ${pattern})`;
  });
  // By their ids, which every index of the list has, they are found; by the times themselves it is decided.
  add(filter.createdAfter, (after) => {
    return `t.created_at > ${after}::timestamptz and t.id >= ${firstIdAfter(after)}`;
  });
  add(filter.createdBefore, (before) => {
    return `t.created_at < ${before}::timestamptz and t.id < ${lastIdBefore(before)}`;
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

-- True. PostgreSQL takes a search in a text for as cheap as a comparison of numbers, and would read millions of tasks from
-- the newest on, in the hope that a page of matches comes soon. A condition with this tells it the price of each.
create or replace function is_searched(text text) returns boolean language plpgsql immutable parallel safe cost 100 as $$
begin
  return true;
end
$$;

-- Sorts new texts into the index of searches. PostgreSQL does it once the list of those that are not sorted in yet is longer
-- than the limit of whoever adds to it. So this adds to it under the smallest limit there is, and takes that back. What needs
-- more memory is sorted in piece by piece. gin_clean_pending_list() would go on for as long as others add to the list, a few
-- texts at a time, which costs most.
create function sort_in_texts() returns void language plpgsql
set gin_pending_list_limit = '64kB'
set work_mem = '32MB'
as $$
begin
  insert into task_traits (id, priority, type, title, description) values (gen_random_uuid(), 'LOW', '', 'taken back', '');
  raise sqlstate 'TAKEN';
exception when sqlstate 'TAKEN' then
  return;
end
$$;

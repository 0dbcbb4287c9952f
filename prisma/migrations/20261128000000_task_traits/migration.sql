-- Every change of a task writes its row anew, and with it an entry in each of its indexes: those of priority, type and
-- text were a third of what PostgreSQL did for a task, and none of the three ever changes. So they are in a table of their
-- own now, which is written once. Old processes, which do not know of it, are served by the trigger as well.
create table task_traits (
  id uuid not null,
  priority task_priority not null,
  type text not null,
  title text not null,
  description text not null,

  constraint task_traits_pkey primary key (id)
);

create function add_traits_of_new_tasks() returns trigger language plpgsql as $$
begin
  insert into task_traits (id, priority, type, title, description)
  select id, priority, type, title, description from added;
  return null;
end
$$;

-- First, since it has whoever stores tasks wait until this is done: none can be forgotten.
create trigger tasks_added
after insert on tasks
referencing new table as added
for each statement execute function add_traits_of_new_tasks();

insert into task_traits (id, priority, type, title, description)
select id, priority, type, title, description from tasks;

create index task_traits_priority_id on task_traits (priority, id desc);
create index task_traits_type_id on task_traits (type, id desc);
create index task_traits_search on task_traits using gin (title gin_trgm_ops, description gin_trgm_ops);

create or replace function delete_events_of_deleted_tasks() returns trigger language plpgsql as $$
begin
  delete from task_events e using deleted d where e.task_id = d.id;
  delete from task_traits i using deleted d where i.id = d.id;
  return null;
end
$$;

create or replace function delete_all_events() returns trigger language plpgsql as $$
begin
  truncate task_events, task_traits;
  return null;
end
$$;

alter function delete_events_of_deleted_tasks() rename to delete_what_belongs_to_deleted_tasks;
alter function delete_all_events() rename to delete_what_belongs_to_all_tasks;

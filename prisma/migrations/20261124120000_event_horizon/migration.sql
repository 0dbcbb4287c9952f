-- Up to which event some have been deleted: a cursor from before that cannot promise a stream without a gap any more.
create table event_horizon (
  only_row boolean not null default true,
  seq bigint not null,

  constraint event_horizon_pkey primary key (only_row),
  constraint event_horizon_has_one_row check (only_row)
);

insert into event_horizon (seq) values (0);

-- Whoever deletes, by whatever statement: the events of a task go with it.
create function raise_event_horizon() returns trigger language plpgsql as $$
begin
  update event_horizon h
  set seq = greatest(h.seq, gone.seq)
  from (select max(seq) as seq from deleted) gone
  where gone.seq is not null;
  return null;
end
$$;

create trigger task_events_deleted
after delete on task_events
referencing old table as deleted
for each statement execute function raise_event_horizon();

create function raise_event_horizon_to_last() returns trigger language plpgsql as $$
begin
  update event_horizon h
  set seq = greatest(h.seq, (select last_value from task_events_seq_seq));
  return null;
end
$$;

create trigger task_events_truncated
after truncate on task_events
for each statement execute function raise_event_horizon_to_last();

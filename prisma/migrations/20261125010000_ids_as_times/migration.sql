-- The list is in the order of ids, which are UUIDs of version 7 and begin with the time. So "created before" is a place in
-- it, from which any index with ids goes on: among ten million tasks the first page took seconds without. An id's time is
-- by the clock of the process that made it, though, and made before the row is stored: this is how far the two have ever
-- been apart.
create table id_drift (
  only_row boolean not null default true,
  lead_ms bigint not null,
  lag_ms bigint not null,

  constraint id_drift_pkey primary key (only_row),
  constraint id_drift_has_one_row check (only_row)
);

create function id_time_ms(id uuid) returns bigint language sql immutable strict parallel safe as $$
  select ('x' || substr(id::text, 1, 8) || substr(id::text, 10, 4))::bit(48)::bigint
$$;

create function first_id_at(at timestamptz) returns uuid language sql immutable strict parallel safe as $$
  select (lpad(to_hex(greatest(0, floor(extract(epoch from at) * 1000))::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- What is common is allowed for from the start, so that the row is hardly ever written.
insert into id_drift (lead_ms, lag_ms)
select
  greatest(10000, max(id_time_ms(id) - extract(epoch from created_at) * 1000)::bigint),
  greatest(10000, max(extract(epoch from created_at) * 1000 - id_time_ms(id))::bigint)
from tasks;

drop index tasks_created_at;

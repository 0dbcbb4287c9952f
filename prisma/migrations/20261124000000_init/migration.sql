-- The tables of schema.prisma, and what Prisma cannot say: the rules every row obeys, the partial indexes of the
-- loops that watch the tables, and storage settings. Prisma does not see those and leaves them alone.

-- For searching title and description with ilike '%…%'.
create extension if not exists pg_trgm;

create type task_priority as enum ('HIGH', 'MEDIUM', 'LOW');
create type task_status as enum ('NEW', 'PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED');
create type attempt_outcome as enum (
  'COMPLETED', 'FAILED', 'TIMED_OUT', 'CANCELLED', 'WORKER_DIED', 'RELEASED'
);

create table tasks (
  id uuid not null,
  title text not null,
  description text not null,
  priority task_priority not null,
  status task_status not null,
  type text not null,
  payload jsonb,
  result jsonb,
  error jsonb,
  attempt integer not null default 0,
  max_attempts integer not null,
  attempt_budget integer not null,
  timeout_seconds integer,
  progress double precision,
  progress_message text,
  version integer not null default 1,
  worker_id uuid,
  created_at timestamptz(3) not null default current_timestamp,
  run_at timestamptz(3) not null default current_timestamp,
  queued_at timestamptz(3),
  started_at timestamptz(3),
  finished_at timestamptz(3),
  idempotency_key text,
  input_hash bytea,

  constraint tasks_pkey primary key (id),
  constraint tasks_title_is_1_to_255_long check (length(title) between 1 and 255),
  constraint tasks_description_is_at_most_10000_long check (length(description) <= 10000),
  constraint tasks_attempt_is_within_max_attempts check (attempt between 0 and max_attempts),
  constraint tasks_progress_is_0_to_1 check (progress between 0 and 1),
  constraint tasks_version_starts_at_1 check (version >= 1),
  constraint tasks_finished_at_is_set_iff_final check (
    (finished_at is not null) = (status in ('COMPLETED', 'FAILED', 'CANCELLED'))
  ),
  constraint tasks_worker_is_set_iff_in_progress check (
    (worker_id is not null) = (status = 'IN_PROGRESS')
  ),
  constraint tasks_result_only_when_completed check (result is null or status = 'COMPLETED'),
  constraint tasks_failed_has_error check (status <> 'FAILED' or error is not null),
  constraint tasks_pending_has_queued_at check (status <> 'PENDING' or queued_at is not null),
  constraint tasks_idempotency_key_comes_with_input_hash check (
    (idempotency_key is null) = (input_hash is null)
  )
)
-- A task is updated several times in its short life, and half of that can stay on its page if the page has room.
-- Vacuum comes after 2 % of dead rows rather than 20 %: what is left of a backlog would else be read by every poll.
with (
  fillfactor = 85,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02
);

create table task_events (
  task_id uuid not null,
  version integer not null,
  seq bigserial not null,
  status task_status not null,
  previous_status task_status,
  attempt integer not null,
  at timestamptz(3) not null default current_timestamp,
  reason text,
  outcome attempt_outcome,
  worker_id uuid,
  error jsonb,

  constraint task_events_pkey primary key (task_id, version),
  constraint task_events_version_starts_at_1 check (version >= 1),
  constraint task_events_first_iff_no_previous_status check (
    (version = 1) = (previous_status is null)
  ),
  constraint task_events_task_id_fkey foreign key (task_id) references tasks (id)
    on delete cascade on update cascade
);

create table workers (
  id uuid not null,
  lock_key bigserial not null,
  hostname text not null,
  pid integer not null,
  started_at timestamptz(3) not null default current_timestamp,
  heartbeat_at timestamptz(3) not null default current_timestamp,
  stopped_at timestamptz(3),

  constraint workers_pkey primary key (id)
);

-- What clients filter and search by.
create unique index tasks_idempotency_key_key on tasks (idempotency_key);
create index tasks_status_id on tasks (status, id desc);
create index tasks_priority_id on tasks (priority, id desc);
create index tasks_type_id on tasks (type, id desc);
create index tasks_created_at on tasks (created_at);
create index tasks_search on tasks using gin (title gin_trgm_ops, description gin_trgm_ops);

create unique index task_events_seq_key on task_events (seq);
create unique index workers_lock_key_key on workers (lock_key);

-- What the loops watch. Each holds only the few rows in question, however large the table grows.
create index tasks_due on tasks (run_at, id) where status = 'NEW';
create index tasks_queued on tasks (priority, queued_at) where status = 'PENDING';
create index tasks_held on tasks (worker_id) where status = 'IN_PROGRESS';
create index workers_alive on workers (heartbeat_at) where stopped_at is null;

-- A task that is not started by its deadline is cancelled, one that kills its workers fails, and each may say how its
-- retries are spaced.
alter table tasks
  add column expires_at timestamptz(3),
  add column retry jsonb,
  add column worker_deaths integer not null default 0,
  add constraint tasks_worker_deaths_is_not_negative check (worker_deaths >= 0),
  add constraint tasks_retry_is_an_object check (jsonb_typeof(retry) = 'object');

-- What the loop that watches the deadlines looks at: a task that has started is out of it for good.
create index tasks_deadline on tasks (expires_at)
where status in ('NEW', 'PENDING') and started_at is null and expires_at is not null;

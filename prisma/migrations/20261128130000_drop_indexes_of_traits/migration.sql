-- By a migration of its own, since it needs the table for itself. The one that fills task_traits keeps out whoever changes
-- tasks, each of whom waits with a lock on the table: to ask for it there would be a deadlock. Who has applied it in an
-- earlier form has dropped them.
drop index if exists tasks_priority_id;
drop index if exists tasks_type_id;
drop index if exists tasks_search;

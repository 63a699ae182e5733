GRANT SELECT, INSERT, DELETE ON outbox TO {role};
GRANT UPDATE (state, attempts, next_at, last_error, ended_at) ON outbox TO {role};

-- What a serving process needs, and no more. Safe to run again.
GRANT SELECT ON seaql_migrations TO {role};
GRANT SELECT, INSERT ON audit_records TO {role};
GRANT SELECT, INSERT ON audit_head TO {role};
GRANT UPDATE (seq, chain) ON audit_head TO {role};
GRANT SELECT ON identity_epoch TO {role};
GRANT SELECT, INSERT, UPDATE ON instances TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON users, credentials TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON logins, cli_logins, rate_limits, workload_jtis, settings TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON secrets TO {role};

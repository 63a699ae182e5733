GRANT SELECT, INSERT ON deploy_approvals, deploy_approval_votes TO {role};
GRANT UPDATE (state, reason, expires_at, approved_at, ended_at, ended_by_kind, ended_by_id, extensions, version)
ON deploy_approvals TO {role};

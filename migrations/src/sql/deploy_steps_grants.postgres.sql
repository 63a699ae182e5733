GRANT SELECT, INSERT ON deploy_steps TO {role};
GRANT UPDATE (state, result, digest, ended_at) ON deploy_steps TO {role};

-- One live request for each commit of an app and whoever shall deploy it.
CREATE UNIQUE INDEX deploy_approvals_live ON deploy_approvals (app, git_commit, deployer_kind, deployer_id)
WHERE state IN ('pending', 'approved');
CREATE INDEX deploy_approvals_by_end ON deploy_approvals (expires_at) WHERE state IN ('pending', 'approved');

CREATE TRIGGER deploy_approvals_begin BEFORE INSERT ON deploy_approvals
WHEN NEW.state <> 'pending' OR NEW.extensions <> 0 OR NEW.version <> 1
BEGIN SELECT RAISE(ABORT, 'a deploy approval begins as pending'); END;

-- INSERT OR REPLACE deletes without firing a delete trigger.
CREATE TRIGGER deploy_approvals_no_replace BEFORE INSERT ON deploy_approvals
WHEN EXISTS (SELECT 1 FROM deploy_approvals WHERE id = NEW.id) OR EXISTS (
    SELECT 1 FROM deploy_approvals WHERE app = NEW.app AND git_commit = NEW.git_commit
    AND deployer_kind = NEW.deployer_kind AND deployer_id = NEW.deployer_id AND state IN ('pending', 'approved')
)
BEGIN SELECT RAISE(ABORT, 'there is such a deploy approval'); END;

CREATE TRIGGER deploy_approvals_no_delete BEFORE DELETE ON deploy_approvals
BEGIN SELECT RAISE(ABORT, 'deploy approvals stay'); END;

CREATE TRIGGER deploy_approvals_fixed BEFORE UPDATE ON deploy_approvals
WHEN NEW.id IS NOT OLD.id OR NEW.app IS NOT OLD.app OR NEW.git_commit IS NOT OLD.git_commit
OR NEW.branch IS NOT OLD.branch OR NEW.message IS NOT OLD.message OR NEW.pr_url IS NOT OLD.pr_url
OR NEW.ci IS NOT OLD.ci OR NEW.requester_kind IS NOT OLD.requester_kind
OR NEW.requester_id IS NOT OLD.requester_id OR NEW.deployer_kind IS NOT OLD.deployer_kind
OR NEW.deployer_id IS NOT OLD.deployer_id OR NEW.users IS NOT OLD.users OR NEW.created_at IS NOT OLD.created_at
OR NEW.running_release IS NOT OLD.running_release OR NEW.parent_release IS NOT OLD.parent_release
OR NEW.env_changes IS NOT OLD.env_changes OR NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'what was asked for never changes'); END;

CREATE TRIGGER deploy_approvals_states BEFORE UPDATE ON deploy_approvals
WHEN NOT (
    (
        OLD.state = 'pending' AND NEW.state = 'approved' AND NEW.extensions = OLD.extensions
    ) OR (
        OLD.state = 'approved' AND NEW.state = 'approved' AND NEW.approved_at IS OLD.approved_at
        AND NEW.extensions = OLD.extensions + 1 AND NEW.expires_at > OLD.expires_at
    ) OR (
        (
            (OLD.state = 'approved' AND NEW.state = 'deployed')
            OR (OLD.state IN ('pending', 'approved') AND NEW.state IN ('rejected', 'expired', 'revoked'))
        ) AND NEW.approved_at IS OLD.approved_at AND NEW.expires_at IS OLD.expires_at
        AND NEW.extensions = OLD.extensions
    )
)
BEGIN SELECT RAISE(ABORT, 'a deploy approval cannot change in this way'); END;

CREATE TRIGGER deploy_approvals_agreed BEFORE UPDATE ON deploy_approvals
WHEN OLD.state = 'pending' AND NEW.state = 'approved' AND NOT EXISTS (
    SELECT 1 FROM deploy_approval_votes AS v
    WHERE v.approval_id = NEW.id AND v.user_id NOT IN (SELECT value FROM json_each(NEW.users))
)
BEGIN SELECT RAISE(ABORT, 'nobody but those behind the request has agreed'); END;

CREATE TRIGGER deploy_approval_votes_in_time BEFORE INSERT ON deploy_approval_votes
WHEN NOT EXISTS (
    SELECT 1 FROM deploy_approvals
    WHERE id = NEW.approval_id AND state = 'pending' AND created_at <= NEW.at AND expires_at > NEW.at
)
BEGIN SELECT RAISE(ABORT, 'only a pending request is voted on'); END;

CREATE TRIGGER deploy_approval_votes_no_replace BEFORE INSERT ON deploy_approval_votes
WHEN EXISTS (SELECT 1 FROM deploy_approval_votes WHERE approval_id = NEW.approval_id AND user_id = NEW.user_id)
BEGIN SELECT RAISE(ABORT, 'votes are never changed'); END;
CREATE TRIGGER deploy_approval_votes_no_update BEFORE UPDATE ON deploy_approval_votes
BEGIN SELECT RAISE(ABORT, 'votes are never changed'); END;
CREATE TRIGGER deploy_approval_votes_no_delete BEFORE DELETE ON deploy_approval_votes
BEGIN SELECT RAISE(ABORT, 'votes are never deleted'); END;

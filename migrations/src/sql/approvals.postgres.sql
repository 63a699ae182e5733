-- One live request for each commit of an app and whoever shall deploy it.
CREATE UNIQUE INDEX deploy_approvals_live ON deploy_approvals (app, git_commit, deployer_kind, deployer_id)
WHERE state IN ('pending', 'approved');
CREATE INDEX deploy_approvals_by_end ON deploy_approvals (expires_at) WHERE state IN ('pending', 'approved');

CREATE FUNCTION deploy_approvals_begin() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NEW.state <> 'pending' OR NEW.extensions <> 0 OR NEW.version <> 1 THEN
        RAISE EXCEPTION 'a deploy approval begins as pending' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION deploy_approvals_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (NEW.id, NEW.app, NEW.git_commit, NEW.branch, NEW.message, NEW.pr_url, NEW.ci, NEW.requester_kind,
        NEW.requester_id, NEW.deployer_kind, NEW.deployer_id, NEW.users, NEW.created_at, NEW.running_release,
        NEW.parent_release, NEW.env_changes)
        IS DISTINCT FROM
       (OLD.id, OLD.app, OLD.git_commit, OLD.branch, OLD.message, OLD.pr_url, OLD.ci, OLD.requester_kind,
        OLD.requester_id, OLD.deployer_kind, OLD.deployer_id, OLD.users, OLD.created_at, OLD.running_release,
        OLD.parent_release, OLD.env_changes)
        OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'what was asked for never changes' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state = 'pending' AND NEW.state = 'approved' AND NEW.extensions = OLD.extensions THEN
        IF NOT EXISTS (
            SELECT 1 FROM deploy_approval_votes AS v
            WHERE v.approval_id = NEW.id AND NOT (NEW.users::jsonb ? v.user_id)
        ) THEN
            RAISE EXCEPTION 'nobody but those behind the request has agreed'
            USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state = 'approved' AND NEW.state = 'approved' AND NEW.approved_at = OLD.approved_at
        AND NEW.extensions = OLD.extensions + 1 AND NEW.expires_at > OLD.expires_at THEN
        RETURN NEW;
    END IF;
    IF ((OLD.state = 'approved' AND NEW.state = 'deployed')
        OR (OLD.state IN ('pending', 'approved') AND NEW.state IN ('rejected', 'expired', 'revoked')))
        AND NEW.approved_at IS NOT DISTINCT FROM OLD.approved_at AND NEW.expires_at = OLD.expires_at
        AND NEW.extensions = OLD.extensions THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a deploy approval cannot change in this way' USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- The lock lets no vote pass a rejection that is under way.
CREATE FUNCTION deploy_approval_votes_in_time() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM deploy_approvals
    WHERE id = NEW.approval_id AND state = 'pending' AND created_at <= NEW.at AND expires_at > NEW.at
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only a pending request is voted on' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER deploy_approvals_begin BEFORE INSERT ON deploy_approvals
FOR EACH ROW EXECUTE FUNCTION deploy_approvals_begin();
CREATE TRIGGER deploy_approvals_change BEFORE UPDATE ON deploy_approvals
FOR EACH ROW EXECUTE FUNCTION deploy_approvals_change();
CREATE TRIGGER deploy_approvals_no_delete BEFORE DELETE OR TRUNCATE ON deploy_approvals
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER deploy_approval_votes_in_time BEFORE INSERT ON deploy_approval_votes
FOR EACH ROW EXECUTE FUNCTION deploy_approval_votes_in_time();
CREATE TRIGGER deploy_approval_votes_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON deploy_approval_votes
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- Also when replication replays statements.
ALTER TABLE deploy_approvals ENABLE ALWAYS TRIGGER deploy_approvals_begin;
ALTER TABLE deploy_approvals ENABLE ALWAYS TRIGGER deploy_approvals_change;
ALTER TABLE deploy_approvals ENABLE ALWAYS TRIGGER deploy_approvals_no_delete;
ALTER TABLE deploy_approval_votes ENABLE ALWAYS TRIGGER deploy_approval_votes_in_time;
ALTER TABLE deploy_approval_votes ENABLE ALWAYS TRIGGER deploy_approval_votes_no_change;

REVOKE DELETE, TRUNCATE ON deploy_approvals FROM PUBLIC, CURRENT_USER;
REVOKE UPDATE, DELETE, TRUNCATE ON deploy_approval_votes FROM PUBLIC, CURRENT_USER;

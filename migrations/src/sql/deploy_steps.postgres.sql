-- Each step happens once for an approval, and a stored object, build or release is used once in an app.
CREATE UNIQUE INDEX deploy_steps_once ON deploy_steps (approval_id, step)
WHERE state <> 'freed' AND step <> 'start';
CREATE UNIQUE INDEX deploy_steps_subject_once ON deploy_steps (app, step, subject)
WHERE state <> 'freed' AND step IN ('upload', 'build', 'promote');

CREATE FUNCTION deploy_steps_begin() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NEW.state <> 'claimed' THEN
        RAISE EXCEPTION 'a step begins as claimed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION deploy_steps_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF (NEW.id, NEW.approval_id, NEW.app, NEW.step, NEW.subject, NEW.by_kind, NEW.by_id, NEW.request_id,
        NEW.claimed_at)
        IS DISTINCT FROM
       (OLD.id, OLD.approval_id, OLD.app, OLD.step, OLD.subject, OLD.by_kind, OLD.by_id, OLD.request_id,
        OLD.claimed_at)
        OR OLD.state <> 'claimed' OR NEW.state = 'claimed'
        OR (OLD.digest IS NOT NULL AND NEW.digest IS DISTINCT FROM OLD.digest) THEN
        RAISE EXCEPTION 'a step ends once, and nothing else of it changes'
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER deploy_steps_begin BEFORE INSERT ON deploy_steps
FOR EACH ROW EXECUTE FUNCTION deploy_steps_begin();
CREATE TRIGGER deploy_steps_change BEFORE UPDATE ON deploy_steps
FOR EACH ROW EXECUTE FUNCTION deploy_steps_change();
CREATE TRIGGER deploy_steps_no_delete BEFORE DELETE OR TRUNCATE ON deploy_steps
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- Also when replication replays statements.
ALTER TABLE deploy_steps ENABLE ALWAYS TRIGGER deploy_steps_begin;
ALTER TABLE deploy_steps ENABLE ALWAYS TRIGGER deploy_steps_change;
ALTER TABLE deploy_steps ENABLE ALWAYS TRIGGER deploy_steps_no_delete;

REVOKE DELETE, TRUNCATE ON deploy_steps FROM PUBLIC, CURRENT_USER;

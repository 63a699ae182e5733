-- Each step happens once for an approval, and a stored object, build or release is used once in an app.
CREATE UNIQUE INDEX deploy_steps_once ON deploy_steps (approval_id, step)
WHERE state <> 'freed' AND step <> 'start';
CREATE UNIQUE INDEX deploy_steps_subject_once ON deploy_steps (app, step, subject)
WHERE state <> 'freed' AND step IN ('upload', 'build', 'promote');

CREATE TRIGGER deploy_steps_begin BEFORE INSERT ON deploy_steps
WHEN NEW.state <> 'claimed'
BEGIN SELECT RAISE(ABORT, 'a step begins as claimed'); END;

-- INSERT OR REPLACE deletes without firing a delete trigger.
CREATE TRIGGER deploy_steps_no_replace BEFORE INSERT ON deploy_steps
WHEN EXISTS (SELECT 1 FROM deploy_steps WHERE id = NEW.id) OR EXISTS (
    SELECT 1 FROM deploy_steps
    WHERE approval_id = NEW.approval_id AND step = NEW.step AND state <> 'freed' AND step <> 'start'
) OR EXISTS (
    SELECT 1 FROM deploy_steps
    WHERE app = NEW.app AND step = NEW.step AND subject = NEW.subject AND state <> 'freed'
    AND step IN ('upload', 'build', 'promote')
)
BEGIN SELECT RAISE(ABORT, 'this step was taken already'); END;

CREATE TRIGGER deploy_steps_change BEFORE UPDATE ON deploy_steps
WHEN NEW.id IS NOT OLD.id OR NEW.approval_id IS NOT OLD.approval_id OR NEW.app IS NOT OLD.app
OR NEW.step IS NOT OLD.step OR NEW.subject IS NOT OLD.subject OR NEW.by_kind IS NOT OLD.by_kind
OR NEW.by_id IS NOT OLD.by_id OR NEW.request_id IS NOT OLD.request_id OR NEW.claimed_at IS NOT OLD.claimed_at
OR OLD.state <> 'claimed' OR NEW.state = 'claimed' OR (OLD.digest IS NOT NULL AND NEW.digest IS NOT OLD.digest)
BEGIN SELECT RAISE(ABORT, 'a step ends once, and nothing else of it changes'); END;

CREATE TRIGGER deploy_steps_no_delete BEFORE DELETE ON deploy_steps
BEGIN SELECT RAISE(ABORT, 'steps of deploys stay'); END;

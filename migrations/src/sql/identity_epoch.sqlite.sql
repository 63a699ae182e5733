-- One number that changes whenever a credential or a person might mean something else. It lets a
-- process keep what it knows of a caller and still notice a revocation with the next request. New
-- rows change nothing that is known; times of last use and last sign-in are not part of who somebody is.
CREATE TABLE identity_epoch (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL);
INSERT INTO identity_epoch (id, epoch) VALUES (1, 1);

CREATE TRIGGER users_epoch_update
AFTER UPDATE OF id, email, name, roles, groups, issuer, subject, locked_at, locked_reason, locked_by, version,
created_at, created_by ON users
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER users_epoch_delete AFTER DELETE ON users
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER credentials_epoch_update
AFTER UPDATE OF id, kind, name, user_id, created_by, roles, secret_hash, previous_hash, previous_until, created_at,
expires_at, idle_seconds, revoked_at, revoked_reason, source_ip, user_agent, network, apps, workload, version
ON credentials
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

-- Nobody is taken for somebody by a credential that was dead already. The day is for clocks that differ.
CREATE TRIGGER credentials_epoch_delete AFTER DELETE ON credentials
WHEN OLD.revoked_at IS NULL AND OLD.expires_at > strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 day')
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

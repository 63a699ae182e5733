-- What a session has shown, and what is known of its person: part of who a caller is, so the identity epoch
-- rises with it.
ALTER TABLE users ADD COLUMN enrolled_at timestamp_with_timezone_text;
ALTER TABLE users ADD COLUMN preferred_method text CHECK (preferred_method IN ('webauthn', 'totp', 'yubico'));

ALTER TABLE credentials ADD COLUMN factor_at timestamp_with_timezone_text
CHECK (factor_at IS NULL OR kind IN ('web', 'cli'));
ALTER TABLE credentials ADD COLUMN factor_method text
CHECK ((factor_at IS NULL) = (factor_method IS NULL))
CHECK (factor_method IN ('webauthn', 'totp', 'yubico', 'backup'));
ALTER TABLE credentials ADD COLUMN factor_strong boolean NOT NULL DEFAULT FALSE
CHECK (factor_at IS NOT NULL OR NOT factor_strong);
-- Without the device, a session that began on it has shown nothing.
ALTER TABLE credentials ADD COLUMN device_id text CHECK (device_id IS NULL OR kind IN ('web', 'cli'))
REFERENCES trusted_devices (id) ON DELETE SET NULL;
CREATE INDEX credentials_by_device ON credentials (device_id) WHERE device_id IS NOT NULL;

ALTER TABLE cli_logins ADD COLUMN factor_at timestamp_with_timezone_text CHECK (factor_at IS NULL OR approved);
ALTER TABLE cli_logins ADD COLUMN factor_method text
CHECK ((factor_at IS NULL) = (factor_method IS NULL))
CHECK (factor_method IN ('webauthn', 'totp', 'yubico', 'backup'));
ALTER TABLE cli_logins ADD COLUMN factor_strong boolean NOT NULL DEFAULT FALSE
CHECK (factor_at IS NOT NULL OR NOT factor_strong);

DROP TRIGGER users_epoch_update;
CREATE TRIGGER users_epoch_update
AFTER UPDATE OF id, email, name, roles, groups, issuer, subject, locked_at, locked_reason, locked_by, version,
created_at, created_by, enrolled_at, preferred_method ON users
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

DROP TRIGGER credentials_epoch_update;
CREATE TRIGGER credentials_epoch_update
AFTER UPDATE OF id, kind, name, user_id, created_by, roles, secret_hash, previous_hash, previous_until, created_at,
expires_at, idle_seconds, revoked_at, revoked_reason, source_ip, user_agent, network, apps, workload, version,
factor_at, factor_method, factor_strong, device_id
ON credentials
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

-- However a factor goes, its sealed secret goes with it.
CREATE TRIGGER factors_secret AFTER DELETE ON factors
BEGIN DELETE FROM secrets WHERE purpose = 'totp' AND id = OLD.id; END;
